! hms_omp.f90 - what gfortran's and flang's omp_lib are too old for: compile this file into the
! program, and `use hms_omp` beside `use omp_lib`. Link with -lhms_omp, or run under `hms run --omp`.
module hms_omp
  use, intrinsic :: iso_c_binding
  implicit none
  private

  integer, parameter, public :: hms_omp_handle_kind = c_intptr_t
  integer(c_int), parameter, public :: hms_omp_atk_pin_device = 9, &
      hms_omp_atk_preferred_device = 10, hms_omp_atk_target_access = 12, &
      hms_omp_atk_atomic_scope = 13, hms_omp_atk_part_size = 14, &
      hms_omp_atk_partitioner = 15, hms_omp_atk_partitioner_arg = 16
  integer(c_intptr_t), parameter, public :: hms_omp_atv_device = 7, hms_omp_atv_all = 19, &
      hms_omp_atv_single = 20, hms_omp_atv_multiple = 21, hms_omp_atv_memspace = 22, &
      hms_omp_atv_partitioner = 23

  ! Partitioners (6.0, 8.4). The variable of a partitioner gets its handle, which is the value of the
  ! trait; it must stay where it is until the partitioner is destroyed. The procedures are bind(c).
  integer, parameter, public :: omp_mempartitioner_kind = c_intptr_t, &
      omp_mempartition_kind = c_intptr_t, omp_mempartitioner_lifetime_kind = c_int
  integer(c_int), parameter, public :: omp_static_mempartition = 1, &
      omp_allocator_mempartition = 2, omp_dynamic_mempartition = 3

  abstract interface
    subroutine omp_mempartitioner_compute_proc_t(memspace, allocation_size, argument, partition) &
        bind(c)
      import :: c_intptr_t, c_size_t
      integer(c_intptr_t), value :: memspace
      integer(c_size_t), value :: allocation_size
      integer(c_intptr_t), value :: argument
      integer(c_intptr_t) :: partition
    end subroutine
    subroutine omp_mempartitioner_release_proc_t(partition) bind(c)
      import :: c_intptr_t
      integer(c_intptr_t) :: partition
    end subroutine
  end interface

  interface
    subroutine omp_init_mempartitioner(partitioner, lifetime, compute, release)
      import
      integer(omp_mempartitioner_kind), intent(inout) :: partitioner
      integer(omp_mempartitioner_lifetime_kind), intent(in) :: lifetime
      procedure(omp_mempartitioner_compute_proc_t) :: compute
      procedure(omp_mempartitioner_release_proc_t), optional :: release
    end subroutine
    subroutine omp_destroy_mempartitioner(partitioner)
      import
      integer(omp_mempartitioner_kind), intent(in) :: partitioner
    end subroutine
    subroutine omp_init_mempartition(partition, nparts, user_data) bind(c)
      import
      integer(omp_mempartition_kind) :: partition
      integer(c_size_t), value :: nparts
      type(c_ptr), value :: user_data
    end subroutine
    subroutine omp_destroy_mempartition(partition)
      import
      integer(omp_mempartition_kind) :: partition
    end subroutine
    integer(c_int) function omp_mempartition_set_part(partition, part, resource, size) bind(c)
      import
      integer(omp_mempartition_kind) :: partition
      integer(c_size_t), value :: part
      integer(c_int), value :: resource
      integer(c_size_t), value :: size
    end function
    type(c_ptr) function omp_mempartition_get_user_data(partition) bind(c)
      import
      integer(omp_mempartition_kind) :: partition
    end function
    integer(c_intptr_t) function omp_get_device_memspace(dev, memspace)
      import :: c_intptr_t, c_int
      integer(c_int), intent(in) :: dev
      integer(c_intptr_t), intent(in) :: memspace
    end function
    integer(c_intptr_t) function omp_get_devices_memspace(ndevs, devs, memspace)
      import :: c_intptr_t, c_int
      integer(c_int), intent(in) :: ndevs, devs(*)
      integer(c_intptr_t), intent(in) :: memspace
    end function
    integer(c_intptr_t) function omp_get_device_and_host_memspace(dev, memspace)
      import :: c_intptr_t, c_int
      integer(c_int), intent(in) :: dev
      integer(c_intptr_t), intent(in) :: memspace
    end function
    integer(c_intptr_t) function omp_get_devices_and_host_memspace(ndevs, devs, memspace)
      import :: c_intptr_t, c_int
      integer(c_int), intent(in) :: ndevs, devs(*)
      integer(c_intptr_t), intent(in) :: memspace
    end function
    integer(c_intptr_t) function omp_get_devices_all_memspace(memspace)
      import :: c_intptr_t
      integer(c_intptr_t), intent(in) :: memspace
    end function
    integer(c_intptr_t) function omp_get_device_allocator(dev, memspace)
      import :: c_intptr_t, c_int
      integer(c_int), intent(in) :: dev
      integer(c_intptr_t), intent(in) :: memspace
    end function
    integer(c_intptr_t) function omp_get_devices_allocator(ndevs, devs, memspace)
      import :: c_intptr_t, c_int
      integer(c_int), intent(in) :: ndevs, devs(*)
      integer(c_intptr_t), intent(in) :: memspace
    end function
    integer(c_intptr_t) function omp_get_device_and_host_allocator(dev, memspace)
      import :: c_intptr_t, c_int
      integer(c_int), intent(in) :: dev
      integer(c_intptr_t), intent(in) :: memspace
    end function
    integer(c_intptr_t) function omp_get_devices_and_host_allocator(ndevs, devs, memspace)
      import :: c_intptr_t, c_int
      integer(c_int), intent(in) :: ndevs, devs(*)
      integer(c_intptr_t), intent(in) :: memspace
    end function
    integer(c_intptr_t) function omp_get_devices_all_allocator(memspace)
      import :: c_intptr_t
      integer(c_intptr_t), intent(in) :: memspace
    end function
    integer(c_int) function omp_get_memspace_num_resources(memspace)
      import :: c_intptr_t, c_int
      integer(c_intptr_t), intent(in) :: memspace
    end function
    integer(c_intptr_t) function omp_get_submemspace(memspace, num_resources, resources)
      import :: c_intptr_t, c_int
      integer(c_intptr_t), intent(in) :: memspace
      integer(c_int), intent(in) :: num_resources, resources(*)
    end function
    integer(c_size_t) function omp_get_memspace_pagesize(memspace) bind(c)
      import :: c_intptr_t, c_size_t
      integer(c_intptr_t), value :: memspace
    end function
    integer(c_int) function hms_omp_space_c(name, memspace) bind(c, name="hms_omp_space")
      import :: c_int, c_char, c_intptr_t
      character(kind=c_char), intent(in) :: name(*)
      integer(c_intptr_t), intent(out) :: memspace
    end function
    integer(c_int) function hms_omp_allocator_c(words, allocator) &
        bind(c, name="hms_omp_allocator")
      import :: c_int, c_char, c_intptr_t
      character(kind=c_char), intent(in) :: words(*)
      integer(c_intptr_t), intent(out) :: allocator
    end function
  end interface

  public :: omp_get_device_memspace, omp_get_devices_memspace, omp_get_device_and_host_memspace, &
      omp_get_devices_and_host_memspace, omp_get_devices_all_memspace, omp_get_device_allocator, &
      omp_get_devices_allocator, omp_get_device_and_host_allocator, &
      omp_get_devices_and_host_allocator, omp_get_devices_all_allocator, &
      omp_get_memspace_num_resources, omp_get_submemspace, omp_get_memspace_pagesize, &
      omp_mempartitioner_compute_proc_t, omp_mempartitioner_release_proc_t, &
      omp_init_mempartitioner, omp_destroy_mempartitioner, omp_init_mempartition, &
      omp_destroy_mempartition, omp_mempartition_set_part, omp_mempartition_get_user_data, &
      hms_omp_space, hms_omp_allocator
contains
  ! A memory space by name or specification; 0 is HMS_OK, see hms.h.
  integer(c_int) function hms_omp_space(name, memspace) result(status)
    character(len=*), intent(in) :: name
    integer(c_intptr_t), intent(out) :: memspace
    memspace = 0
    status = hms_omp_space_c(trim(name) // c_null_char, memspace)
  end function

  ! An allocator as OMP_ALLOCATOR would write it.
  integer(c_int) function hms_omp_allocator(words, allocator) result(status)
    character(len=*), intent(in) :: words
    integer(c_intptr_t), intent(out) :: allocator
    allocator = 0
    status = hms_omp_allocator_c(trim(words) // c_null_char, allocator)
  end function
end module hms_omp
