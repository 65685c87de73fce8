! What the Fortran tests count and print.
module checks
  implicit none
  integer :: failures = 0
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
end module
