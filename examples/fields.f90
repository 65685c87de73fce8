! Fortran: two fields in high-bandwidth memory, their average in large-capacity memory, as pointers
! to memory of omp_alloc. Standard OpenMP; run it under `hms run --omp`.
program fields
  use, intrinsic :: iso_c_binding
  use omp_lib
  implicit none
  integer, parameter :: n = 200000
  real(c_double), pointer :: u(:), v(:), mean(:)
  type(omp_alloctrait) :: traits(2)
  integer(omp_allocator_handle_kind) :: fast
  integer :: i

  traits(1) = omp_alloctrait(omp_atk_alignment, 64)
  traits(2) = omp_alloctrait(omp_atk_fallback, omp_atv_default_mem_fb)
  fast = omp_init_allocator(omp_high_bw_mem_space, 2, traits)
  if (fast == omp_null_allocator) stop 'fields: no allocator for high-bandwidth memory'
  u => field(n, fast)
  v => field(n, fast)
  mean => field(n, omp_large_cap_mem_alloc)
  !$omp parallel do
  do i = 1, n
    u(i) = i
    v(i) = n - i
  end do
  !$omp parallel do
  do i = 1, n
    mean(i) = 0.5d0 * (u(i) + v(i))
  end do
  if (any(mean /= 0.5d0 * n)) stop 1
  call omp_free(c_loc(u), fast)
  call omp_free(c_loc(v), fast)
  call omp_free(c_loc(mean), omp_large_cap_mem_alloc)
  call omp_destroy_allocator(fast)
  print '(a)', 'validated'
contains
  function field(length, allocator) result(f)
    integer, intent(in) :: length
    integer(omp_allocator_handle_kind), intent(in) :: allocator
    real(c_double), pointer :: f(:)
    type(c_ptr) :: p
    p = omp_alloc(8_c_size_t * length, allocator)
    if (.not. c_associated(p)) stop 'fields: no memory'
    call c_f_pointer(p, f, [length])
  end function
end program
