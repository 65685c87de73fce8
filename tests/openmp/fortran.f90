! Fortran: handles by reference and by value, both modules, allocate clauses, C pointers as arrays.
program fortran
  use, intrinsic :: iso_c_binding
  use omp_lib
  use hms_omp
  implicit none
  integer :: failures = 0

  call routines()
  call traits()
  call clauses()
  call newer()
  if (failures > 0) stop 1
contains
  subroutine check(condition, what)
    logical, intent(in) :: condition
    character(len=*), intent(in) :: what
    if (condition) then
      print '(a,a)', 'ok ', what
    else
      print '(a,a)', 'FAIL ', what
      failures = failures + 1
    end if
  end subroutine

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
