! Fortran: handles by reference and by value, both modules, allocate clauses, C pointers as arrays, a
! partitioner; and where pages are, by the kernel's answer (move_pages of libnuma).
module parts
  use, intrinsic :: iso_c_binding
  use hms_omp
  implicit none
  integer :: computed = 0, released = 0
contains
  ! One page on the last resource, the rest on the first.
  subroutine first_page_apart(memspace, allocation_size, argument, partition) bind(c)
    integer(c_intptr_t), value :: memspace, argument
    integer(c_size_t), value :: allocation_size
    integer(c_intptr_t) :: partition
    integer(c_size_t) :: page
    integer(c_int) :: n, status
    computed = computed + 1
    n = omp_get_memspace_num_resources(memspace)
    page = omp_get_memspace_pagesize(memspace)
    call omp_init_mempartition(partition, 2_c_size_t, c_null_ptr)
    status = omp_mempartition_set_part(partition, 0_c_size_t, n - 1, page)
    if (argument == 42) then
      status = omp_mempartition_set_part(partition, 1_c_size_t, 0, allocation_size - page)
    end if
    if (c_associated(omp_mempartition_get_user_data(partition))) computed = -1000
  end subroutine

  subroutine note_release(partition) bind(c)
    integer(c_intptr_t) :: partition
    call omp_destroy_mempartition(partition)
    released = released + 1
  end subroutine
end module

program fortran
  use, intrinsic :: iso_c_binding
  use checks
  use parts
  use omp_lib
  use hms_omp
  implicit none

  call routines()
  call traits()
  call clauses()
  call more_clauses()
  call newer()
  call partitioner()
  call placement()
  if (failures > 0) stop 1
contains
  logical function aligned(p, bytes)
    type(c_ptr), intent(in) :: p
    integer(c_intptr_t), intent(in) :: bytes
    aligned = mod(transfer(p, 0_c_intptr_t), bytes) == 0
  end function

  subroutine routines()
    type(c_ptr) :: p
    real(c_double), pointer :: x(:)
    p = omp_alloc(8000_c_size_t, omp_high_bw_mem_alloc)
    call check(c_associated(p), 'omp_alloc')
    call c_f_pointer(p, x, [1000])
    x = 2.5d0
    p = omp_realloc(p, 80000_c_size_t, omp_large_cap_mem_alloc, omp_high_bw_mem_alloc)
    call c_f_pointer(p, x, [10000])
    call check(all(x(1:1000) == 2.5d0), 'omp_realloc')
    call omp_free(p, omp_large_cap_mem_alloc)
    p = omp_calloc(100_c_size_t, 8_c_size_t, omp_default_mem_alloc)
    call c_f_pointer(p, x, [100])
    call check(all(x == 0), 'omp_calloc')
    call omp_free(p, omp_null_allocator)
    p = omp_aligned_alloc(4096_c_size_t, 8192_c_size_t, omp_default_mem_alloc)
    call check(aligned(p, 4096_c_intptr_t), 'omp_aligned_alloc')
    call omp_free(p, omp_default_mem_alloc)
    p = omp_alloc(0_c_size_t, omp_default_mem_alloc)
    call check(.not. c_associated(p), 'size 0')
  end subroutine

  subroutine traits()
    type(omp_alloctrait) :: t(3)
    integer(omp_allocator_handle_kind) :: h
    type(c_ptr) :: p, q
    t(1) = omp_alloctrait(omp_atk_alignment, 1024)
    t(2) = omp_alloctrait(omp_atk_pool_size, 10000)
    t(3) = omp_alloctrait(omp_atk_fallback, omp_atv_null_fb)
    h = omp_init_allocator(omp_default_mem_space, 3, t)
    call check(h /= omp_null_allocator, 'omp_init_allocator')
    p = omp_alloc(9000_c_size_t, h)
    q = omp_alloc(9000_c_size_t, h)
    call check(c_associated(p) .and. aligned(p, 1024_c_intptr_t), 'alignment trait')
    call check(.not. c_associated(q), 'pool_size trait')
    call omp_free(p, h)
    call omp_set_default_allocator(h)
    call check(omp_get_default_allocator() == h, 'default allocator')
    p = omp_alloc(100_c_size_t, omp_null_allocator)
    call check(aligned(p, 1024_c_intptr_t), 'null handle is the default allocator')
    call omp_free(p, omp_null_allocator)
    call omp_set_default_allocator(omp_default_mem_alloc)
    call omp_destroy_allocator(h)
    t(1) = omp_alloctrait(omp_atk_alignment, 3)
    h = omp_init_allocator(omp_default_mem_space, 1, t)
    call check(h == omp_null_allocator, 'a wrong trait gives the null allocator')
  end subroutine

  subroutine clauses()
    integer :: value, good
    real(8) :: array(500)
    type(omp_alloctrait) :: t(1)
    integer(omp_allocator_handle_kind) :: h
    t(1) = omp_alloctrait(omp_atk_alignment, 2048)
    h = omp_init_allocator(omp_large_cap_mem_space, 1, t)
    value = 5
    array = 1.0d0
    good = 0
    !$omp parallel num_threads(2) firstprivate(value, array) allocate(h: value, array) &
    !$omp& reduction(+: good)
    if (value == 5 .and. all(array == 1.0d0)) good = good + 1
    if (mod(transfer(c_loc_of(array), 0_c_intptr_t), 2048_c_intptr_t) == 0) good = good + 1
    !$omp end parallel
    call check(good == 4, 'allocate clause')
    call omp_destroy_allocator(h)
  end subroutine

  ! Worksharing, tasks, teams. gfortran 12 knows neither the align modifier nor allocators constructs.
  subroutine more_clauses()
    integer :: i, last, total, good, value
    type(omp_alloctrait) :: t(1)
    integer(omp_allocator_handle_kind) :: h
    t(1) = omp_alloctrait(omp_atk_alignment, 256)
    h = omp_init_allocator(omp_default_mem_space, 1, t)
    total = 0
    good = 0
    value = 3
    !$omp parallel num_threads(2)
    !$omp do lastprivate(last) reduction(+: total) allocate(h: last, total)
    do i = 1, 100
      last = i
      total = total + i
    end do
    !$omp end do
    !$omp single
    do i = 1, 20
      !$omp task firstprivate(value) allocate(h: value) shared(good)
      if (value == 3) then
        !$omp atomic
        good = good + 1
      end if
      !$omp end task
    end do
    !$omp end single
    !$omp end parallel
    call check(last == 100 .and. total == 5050 .and. good == 20, 'allocate clause of do and task')
    good = 0
    !$omp teams num_teams(2) firstprivate(value) allocate(h: value) reduction(+: good)
    if (value == 3) good = good + 1
    !$omp end teams
    call check(good >= 1, 'allocate clause of teams')
    call omp_destroy_allocator(h)
  end subroutine

  subroutine partitioner()
    integer(omp_mempartitioner_kind), volatile :: object
    integer(omp_mempartitioner_kind) :: value
    type(omp_alloctrait) :: t(4)
    integer(omp_allocator_handle_kind) :: h
    type(c_ptr) :: p
    integer(c_int8_t), pointer :: bytes(:)
    call omp_init_mempartitioner(object, omp_dynamic_mempartition, first_page_apart, note_release)
    value = object
    t(1) = omp_alloctrait(omp_atk_partition, hms_omp_atv_partitioner)
    t(2) = omp_alloctrait(hms_omp_atk_partitioner, value)
    t(3) = omp_alloctrait(hms_omp_atk_partitioner_arg, 42)
    t(4) = omp_alloctrait(omp_atk_fallback, omp_atv_null_fb)
    h = omp_init_allocator(omp_default_mem_space, 4, t)
    call check(h /= omp_null_allocator, 'an allocator with a partitioner')
    p = omp_alloc(50000_c_size_t, h)
    call check(c_associated(p) .and. computed == 1, 'a block in parts')
    call c_f_pointer(p, bytes, [50000])
    bytes = 1
    if (lab()) then
      call check(node_of(bytes(1)) == 1 .and. node_of(bytes(4097)) == 0, 'parts are on their nodes')
    end if
    call omp_free(p, h)
    t(3) = omp_alloctrait(hms_omp_atk_partitioner_arg, 7)
    h = omp_init_allocator(omp_default_mem_space, 4, t)
    call check(.not. c_associated(omp_alloc(50000_c_size_t, h)), 'an answer that does not fit')
    call omp_destroy_allocator(h)
    call omp_destroy_mempartitioner(object)
    call check(released == computed, 'partitions are released')
  end subroutine

  logical function lab()
    character(len=64) :: machine
    call get_environment_variable('HMS_TEST_MACHINE', machine)
    lab = machine == 'hbm-ddr-cxl'
  end function

  ! Every page of a block on the node; -1 where the kernel does not say.
  integer function node_of(byte)
    integer(c_int8_t), intent(in), target :: byte
    type(c_ptr) :: page(1)
    integer(c_int) :: status(1)
    interface
      integer(c_long) function move_pages(pid, count, pages, nodes, status, flags) bind(c)
        import :: c_int, c_long, c_ptr
        integer(c_int), value :: pid, flags
        integer(c_long), value :: count
        type(c_ptr), intent(in) :: pages(*)
        type(c_ptr), value :: nodes
        integer(c_int), intent(out) :: status(*)
      end function
    end interface
    page(1) = c_loc(byte)
    node_of = -1
    if (move_pages(0, 1_c_long, page, c_null_ptr, status, 0) == 0) node_of = status(1)
  end function

  subroutine placement()
    call space_is_on(omp_high_bw_mem_space, 2, 'high_bw')
    call space_is_on(omp_large_cap_mem_space, 3, 'large_cap')
  end subroutine

  subroutine space_is_on(space, node, what)
    integer(omp_memspace_handle_kind), intent(in) :: space
    integer, intent(in) :: node
    character(len=*), intent(in) :: what
    integer, parameter :: length = 300000
    integer(omp_allocator_handle_kind) :: h
    type(omp_alloctrait) :: t(2)
    type(c_ptr) :: p
    integer(c_int8_t), pointer :: bytes(:)
    integer :: i, wrong
    t(1) = omp_alloctrait(omp_atk_fallback, omp_atv_null_fb)
    t(2) = omp_alloctrait(omp_atk_alignment, 4096)
    h = omp_init_allocator(space, 2, t)
    p = omp_alloc(int(length, c_size_t), h)
    call check(c_associated(p), 'a block of '//what)
    call c_f_pointer(p, bytes, [length])
    bytes = 1
    wrong = 0
    do i = 1, length, 4096
      if (lab() .and. node_of(bytes(i)) /= node) wrong = wrong + 1
    end do
    call check(wrong == 0, 'pages of '//what)
    call omp_free(p, h)
    call omp_destroy_allocator(h)
  end subroutine

  type(c_ptr) function c_loc_of(array)
    real(8), intent(in), target :: array(*)
    c_loc_of = c_loc(array)
  end function

  subroutine newer()
    integer(c_intptr_t) :: space, handle
    type(c_ptr) :: p
    integer :: status
    space = omp_get_device_memspace(omp_get_initial_device(), omp_high_bw_mem_space)
    call check(space == omp_high_bw_mem_space, 'omp_get_device_memspace')
    call check(omp_get_memspace_num_resources(omp_default_mem_space) >= 1, 'resources')
    call check(omp_get_memspace_pagesize(omp_default_mem_space) >= 4096, 'page size')
    status = hms_omp_space('node:0', space)
    call check(status == 0 .and. space > 1024, 'a space by specification')
    status = hms_omp_allocator('large_cap:alignment=512', handle)
    p = omp_alloc(10_c_size_t, handle)
    call check(status == 0 .and. aligned(p, 512_c_intptr_t), 'an allocator in words')
    call omp_free(p, handle)
  end subroutine
end program
