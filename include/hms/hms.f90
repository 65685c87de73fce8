! hms.f90 - the interface of libhms for Fortran 2003: compile this file into the program, `use hms`, and link
! with -lhms. Names, arguments and rules are those of hms.h (hms(3)); what only C can do is left out.
!
!   type(c_ptr) :: placement, block
!   real(c_double), pointer :: field(:)
!   if (hms_placement_get(c_null_ptr, "bandwidth" // c_null_char, placement) /= hms_ok) stop hms_message()
!   block = hms_malloc(n * 8_c_size_t, placement)
!   call c_f_pointer(block, field, [n])
!   ...
!   call hms_free(block)
module hms
  use, intrinsic :: iso_c_binding
  implicit none
  private

  integer(c_int), parameter, public :: hms_ok = 0, hms_einval = 1, hms_enomem = 2, hms_enodev = 3, &
      hms_eperm = 4, hms_enosys = 5, hms_eio = 6, hms_epartial = 7, hms_ecanceled = 8
  ! hms_object
  integer(c_int), parameter, public :: hms_target = 1, hms_initiator = 2, hms_link = 3, hms_bridge = 4
  ! hms_order
  integer(c_int), parameter, public :: hms_by_bandwidth = 0, hms_by_latency = 1, hms_by_capacity = 2, &
      hms_by_locality = 3
  integer(c_int), parameter, public :: hms_strict = 1
  ! hms_heat, hms_life
  integer(c_int), parameter, public :: hms_heat_unknown = 0, hms_heat_cold = 1, hms_heat_hot = 2
  integer(c_int), parameter, public :: hms_life_unknown = 0, hms_life_short = 1, hms_life_long = 2
  ! an hms_id; no kind of Fortran has no sign, ids stay far below 2**31
  integer, parameter, public :: hms_id_kind = c_int32_t

  type, bind(c), public :: hms_target_info
    integer(c_size_t) :: size = 0 ! set by hms_target_get
    integer(hms_id_kind) :: id
    integer(c_int) :: kind
    type(c_ptr) :: key, label ! see hms_string
    integer(c_int64_t) :: bytes, free_bytes
    integer(c_int32_t) :: capabilities, must_understand
    integer(c_int) :: node, emulated
  end type

  type, bind(c), public :: hms_cost
    integer(c_size_t) :: size = 0 ! set by hms_path_cost
    real(c_double) :: bandwidth, latency ! bytes/s, ns; 0 when unknown
    integer(c_int) :: bandwidth_from, latency_from
    integer(c_int32_t) :: capabilities
    integer(c_int) :: reachable
  end type

  type, bind(c), public :: hms_query_spec
    integer(c_size_t) :: size = 0 ! set by hms_find
    type(c_ptr) :: initiators = c_null_ptr ! null: every CPU initiator
    integer(c_size_t) :: initiator_count = 0
    integer(c_int) :: order = hms_by_bandwidth
    integer(c_int64_t) :: min_bytes = 0
    integer(c_int32_t) :: need = 0, understand = 0
  end type

  type, bind(c), public :: hms_moved
    integer(hms_id_kind) :: target
    integer(c_int64_t) :: pages
  end type

  public :: hms_version, hms_message, hms_string, hms_topology_load, hms_topology_free, hms_topology_count, &
      hms_topology_at, hms_topology_find_key, hms_target_get, hms_path_cost, hms_find, hms_bind, hms_migrate, &
      hms_unbind, hms_residency, hms_placement_get, hms_placement_of, hms_malloc, hms_calloc, hms_aligned_alloc, &
      hms_realloc, hms_free, hms_usable_size, hms_target_of, hms_set_quota, hms_trim, hms_placement_hinted, &
      hms_tiering_pin, hms_tiering_unpin

  interface
    integer(c_int) function hms_version() bind(c)
      import :: c_int
    end function
    integer(c_int) function hms_topology_load(source, topology) bind(c)
      import :: c_int, c_char, c_ptr
      character(kind=c_char), intent(in) :: source(*) ! ends with c_null_char
      type(c_ptr), intent(out) :: topology
    end function
    subroutine hms_topology_free(topology) bind(c)
      import :: c_ptr
      type(c_ptr), value :: topology
    end subroutine
    integer(c_size_t) function hms_topology_count(topology, object) bind(c)
      import :: c_size_t, c_ptr, c_int
      type(c_ptr), value :: topology
      integer(c_int), value :: object
    end function
    ! `index` starts with 0, as in C
    integer(hms_id_kind) function hms_topology_at(topology, object, index) bind(c)
      import :: hms_id_kind, c_ptr, c_int, c_size_t
      type(c_ptr), value :: topology
      integer(c_int), value :: object
      integer(c_size_t), value :: index
    end function
    integer(hms_id_kind) function hms_topology_find_key(topology, key) bind(c)
      import :: hms_id_kind, c_ptr, c_char
      type(c_ptr), value :: topology
      character(kind=c_char), intent(in) :: key(*)
    end function
    integer(c_int) function c_target_get(topology, id, info) bind(c, name="hms_target_get")
      import :: c_int, c_ptr, hms_id_kind, hms_target_info
      type(c_ptr), value :: topology
      integer(hms_id_kind), value :: id
      type(hms_target_info), intent(inout) :: info
    end function
    integer(c_int) function c_path_cost(topology, initiator, target, cost) bind(c, name="hms_path_cost")
      import :: c_int, c_ptr, hms_id_kind, hms_cost
      type(c_ptr), value :: topology
      integer(hms_id_kind), value :: initiator, target
      type(hms_cost), intent(inout) :: cost
    end function
    integer(c_int) function c_find(topology, query, ids, count) bind(c, name="hms_find")
      import :: c_int, c_ptr, hms_id_kind, hms_query_spec, c_size_t
      type(c_ptr), value :: topology
      type(hms_query_spec), intent(in) :: query
      integer(hms_id_kind), intent(out) :: ids(*)
      integer(c_size_t), intent(inout) :: count
    end function
    integer(c_int) function hms_bind(topology, address, length, targets, target_count, flags) bind(c)
      import :: c_int, c_ptr, c_size_t, hms_id_kind
      type(c_ptr), value :: topology, address
      integer(c_size_t), value :: length, target_count
      integer(hms_id_kind), intent(in) :: targets(*)
      integer(c_int), value :: flags
    end function
    integer(c_int) function hms_migrate(topology, address, length, targets, target_count, flags, moved) bind(c)
      import :: c_int, c_ptr, c_size_t, hms_id_kind, hms_moved
      type(c_ptr), value :: topology, address
      integer(c_size_t), value :: length, target_count
      integer(hms_id_kind), intent(in) :: targets(*)
      integer(c_int), value :: flags
      type(hms_moved), intent(out) :: moved(*)
    end function
    integer(c_int) function hms_unbind(address, length) bind(c)
      import :: c_int, c_ptr, c_size_t
      type(c_ptr), value :: address
      integer(c_size_t), value :: length
    end function
    integer(c_int) function hms_residency(topology, address, length, found, count, absent, elsewhere) bind(c)
      import :: c_int, c_ptr, c_size_t, c_int64_t, hms_moved
      type(c_ptr), value :: topology, address
      integer(c_size_t), value :: length
      type(hms_moved), intent(out) :: found(*)
      integer(c_size_t), intent(inout) :: count
      integer(c_int64_t), intent(out) :: absent, elsewhere
    end function
    integer(c_int) function hms_placement_get(topology, spec, placement) bind(c)
      import :: c_int, c_ptr, c_char
      type(c_ptr), value :: topology
      character(kind=c_char), intent(in) :: spec(*)
      type(c_ptr), intent(out) :: placement
    end function
    integer(c_int) function hms_placement_of(topology, targets, target_count, flags, placement) bind(c)
      import :: c_int, c_ptr, c_size_t, hms_id_kind
      type(c_ptr), value :: topology
      integer(hms_id_kind), intent(in) :: targets(*)
      integer(c_size_t), value :: target_count
      integer(c_int), value :: flags
      type(c_ptr), intent(out) :: placement
    end function
    integer(c_int) function hms_placement_hinted(heat, life, placement) bind(c)
      import :: c_int, c_ptr
      integer(c_int), value :: heat, life
      type(c_ptr), intent(out) :: placement
    end function
    integer(c_int) function hms_tiering_pin(address, length) bind(c)
      import :: c_int, c_size_t, c_ptr
      type(c_ptr), value :: address
      integer(c_size_t), value :: length
    end function
    integer(c_int) function hms_tiering_unpin(address, length) bind(c)
      import :: c_int, c_size_t, c_ptr
      type(c_ptr), value :: address
      integer(c_size_t), value :: length
    end function
    type(c_ptr) function hms_malloc(size, placement) bind(c)
      import :: c_ptr, c_size_t
      integer(c_size_t), value :: size
      type(c_ptr), value :: placement
    end function
    type(c_ptr) function hms_calloc(count, size, placement) bind(c)
      import :: c_ptr, c_size_t
      integer(c_size_t), value :: count, size
      type(c_ptr), value :: placement
    end function
    type(c_ptr) function hms_aligned_alloc(alignment, size, placement) bind(c)
      import :: c_ptr, c_size_t
      integer(c_size_t), value :: alignment, size
      type(c_ptr), value :: placement
    end function
    type(c_ptr) function hms_realloc(block, size, placement) bind(c)
      import :: c_ptr, c_size_t
      type(c_ptr), value :: block, placement
      integer(c_size_t), value :: size
    end function
    subroutine hms_free(block) bind(c)
      import :: c_ptr
      type(c_ptr), value :: block
    end subroutine
    integer(c_size_t) function hms_usable_size(block) bind(c)
      import :: c_ptr, c_size_t
      type(c_ptr), value :: block
    end function
    type(c_ptr) function c_target_of(block) bind(c, name="hms_target_of")
      import :: c_ptr
      type(c_ptr), value :: block
    end function
    integer(c_int) function hms_set_quota(target_key, bytes) bind(c)
      import :: c_int, c_char, c_int64_t
      character(kind=c_char), intent(in) :: target_key(*)
      integer(c_int64_t), value :: bytes ! -1: no limit
    end function
    subroutine hms_trim() bind(c)
    end subroutine
    type(c_ptr) function c_last_error() bind(c, name="hms_last_error")
      import :: c_ptr
    end function
    integer(c_size_t) function c_strlen(text) bind(c, name="strlen")
      import :: c_size_t, c_ptr
      type(c_ptr), value :: text
    end function
  end interface

contains

  ! A copy of a string of C; "" for a null pointer.
  function hms_string(text) result(copy)
    type(c_ptr), intent(in) :: text
    character(len=:), allocatable :: copy
    character(kind=c_char), pointer :: bytes(:)
    integer :: i, length
    copy = ""
    if (.not. c_associated(text)) return
    length = int(c_strlen(text))
    call c_f_pointer(text, bytes, [length])
    deallocate (copy)
    allocate (character(len=length) :: copy)
    do i = 1, length
      copy(i:i) = bytes(i)
    end do
  end function

  ! hms_last_error(): why this thread's last call failed.
  function hms_message() result(text)
    character(len=:), allocatable :: text
    text = hms_string(c_last_error())
  end function

  ! The key of the target that a block was charged to; "" if it is not from libhms.
  function hms_target_of(block) result(key)
    type(c_ptr), intent(in) :: block
    character(len=:), allocatable :: key
    key = hms_string(c_target_of(block))
  end function

  integer(c_int) function hms_target_get(topology, id, info) result(status)
    type(c_ptr), intent(in) :: topology
    integer(hms_id_kind), intent(in) :: id
    type(hms_target_info), intent(out) :: info
    info%size = c_sizeof(info)
    status = c_target_get(topology, id, info)
  end function

  integer(c_int) function hms_path_cost(topology, initiator, target, cost) result(status)
    type(c_ptr), intent(in) :: topology
    integer(hms_id_kind), intent(in) :: initiator, target
    type(hms_cost), intent(out) :: cost
    cost%size = c_sizeof(cost)
    status = c_path_cost(topology, initiator, target, cost)
  end function

  ! `count`: the number of matches, which may be larger than ids.
  integer(c_int) function hms_find(topology, query, ids, count) result(status)
    type(c_ptr), intent(in) :: topology
    type(hms_query_spec), intent(in) :: query
    integer(hms_id_kind), intent(out) :: ids(:)
    integer(c_size_t), intent(out) :: count
    type(hms_query_spec) :: sized
    sized = query
    sized%size = c_sizeof(sized)
    count = size(ids, kind=c_size_t)
    status = c_find(topology, sized, ids, count)
  end function
end module
