! Fortran with -fdefault-integer-8: the number of traits is eight bytes wide, and another routine takes it.
program fortran8
  use, intrinsic :: iso_c_binding
  use checks
  use omp_lib
  use hms_omp
  implicit none
  type(omp_alloctrait) :: t(2)
  integer(omp_allocator_handle_kind) :: h
  integer :: count = 2
  type(c_ptr) :: p

  call check(kind(count) == 8, 'integers of eight bytes')
  t(1) = omp_alloctrait(omp_atk_alignment, 2048_omp_alloctrait_val_kind)
  t(2) = omp_alloctrait(omp_atk_fallback, omp_atv_null_fb)
  h = omp_init_allocator(omp_large_cap_mem_space, count, t)
  call check(h /= omp_null_allocator, 'omp_init_allocator')
  p = omp_alloc(1000_c_size_t, h)
  call check(mod(transfer(p, 0_c_intptr_t), 2048_c_intptr_t) == 0, 'its trait')
  call omp_free(p, h)
  call omp_destroy_allocator(h)
  call check(.not. c_associated(omp_alloc(8_c_size_t, h)), 'omp_destroy_allocator')
  call check(omp_get_memspace_num_resources(omp_default_mem_space) >= 1_c_int, 'resources')
  call check(omp_get_device_memspace(-1_c_int, omp_large_cap_mem_space) == &
             omp_large_cap_mem_space, 'omp_get_device_memspace')
  if (failures > 0) stop 1
end program
