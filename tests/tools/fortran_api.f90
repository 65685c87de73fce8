! The Fortran module against the library: queries, placements, blocks, quotas, ranges, messages.
program fortran_api
  use, intrinsic :: iso_c_binding
  use hms
  implicit none
  type(c_ptr) :: topology, fast, block, other
  type(hms_query_spec) :: query
  type(hms_target_info) :: info
  type(hms_cost) :: cost
  type(hms_moved) :: found(4)
  integer(hms_id_kind) :: ids(4), initiator
  integer(c_size_t) :: count
  integer(c_int64_t) :: absent, elsewhere
  real(c_double), pointer :: field(:)
  integer :: failures = 0
  integer(c_size_t), parameter :: n = 100000

  call expect(hms_version() >= 10000, "version")
  call expect(hms_topology_load("tiers:fast=64M:bw=400G:lat=80,slow=256M:bw=50G:lat=300" // c_null_char, topology) &
              == hms_ok, "load")
  call expect(hms_topology_count(topology, hms_target) >= 2, "count")
  query%order = hms_by_latency
  call expect(hms_find(topology, query, ids, count) == hms_ok, "find")
  call expect(count >= 2, "matches")
  call expect(hms_target_get(topology, ids(1), info) == hms_ok, "target")
  call expect(hms_string(info%key) == "tier:fast", "the fastest: " // hms_string(info%key))
  call expect(info%bytes == 64 * 1048576_c_int64_t .and. info%emulated == 1, "its size")
  initiator = hms_topology_at(topology, hms_initiator, 0_c_size_t)
  call expect(hms_path_cost(topology, initiator, ids(1), cost) == hms_ok, "cost")
  call expect(cost%reachable == 1 .and. cost%latency == 80d0, "80 ns")
  call expect(hms_topology_find_key(topology, "tier:slow" // c_null_char) == ids(2), "by key")

  call expect(hms_placement_get(topology, "fast!" // c_null_char, fast) == hms_ok, "placement: " // hms_message())
  block = hms_malloc(n * 8, fast)
  call expect(c_associated(block), "malloc")
  call expect(hms_target_of(block) == "tier:fast", "target of the block: " // hms_target_of(block))
  call expect(hms_usable_size(block) >= n * 8, "usable size")
  call c_f_pointer(block, field, [n])
  field = 1.5d0
  call expect(sum(field) == 1.5d0 * n, "the field")
  block = hms_realloc(block, 2 * n * 8, fast)
  call c_f_pointer(block, field, [2 * n])
  call expect(sum(field(1:n)) == 1.5d0 * n, "the field after realloc")
  call expect(hms_set_quota("tier:fast" // c_null_char, 4 * 1048576_c_int64_t) == hms_ok, "quota")
  other = hms_malloc(8 * 1048576_c_size_t, fast)
  call expect(.not. c_associated(other), "a strict placement over its quota gives null")
  call expect(hms_set_quota("tier:fast" // c_null_char, -1_c_int64_t) == hms_ok, "no quota")
  other = hms_aligned_alloc(4096_c_size_t, 1048576_c_size_t, fast)
  call expect(c_associated(other), "aligned_alloc after the quota went")
  count = size(found)
  call expect(hms_bind(topology, other, 1048576_c_size_t, ids, 1_c_size_t, 0_c_int) == hms_ok, "bind: " // hms_message())
  call expect(hms_residency(topology, other, 1048576_c_size_t, found, count, absent, elsewhere) == hms_ok, "residency")
  call expect(hms_unbind(other, 1048576_c_size_t) == hms_ok, "unbind")
  call hms_free(other)
  call hms_free(block)
  call hms_trim()
  call expect(hms_placement_get(topology, "nonsense" // c_null_char, fast) /= hms_ok, "an unknown name")
  call expect(index(hms_message(), "nonsense") > 0, "the message names it: " // hms_message())
  call expect(hms_placement_hinted(hms_heat_cold, hms_life_long, fast) == hms_ok, "hint: " // hms_message())
  block = hms_malloc(n * 8, fast)
  call expect(hms_target_of(block) == "default", "without tiering a hint is the default: " // hms_target_of(block))
  call expect(hms_tiering_pin(block, n * 8) == hms_ok, "pin: " // hms_message())
  call expect(hms_tiering_unpin(block, n * 8) == hms_ok, "unpin: " // hms_message())
  call hms_free(block)
  call expect(hms_placement_hinted(7_c_int, hms_life_long, fast) == hms_einval, "no heat")
  call expect(hms_tiering_pin(c_null_ptr, n) == hms_einval, "pin of nothing")
  call expect(index(hms_message(), "NULL") > 0, "the message says so: " // hms_message())
  call hms_topology_free(topology)
  if (failures > 0) error stop 1
  print '(a)', "Fortran module: all good"

contains

  subroutine expect(holds, what)
    logical, intent(in) :: holds
    character(len=*), intent(in) :: what
    if (holds) return
    print '(2a)', "FAIL: ", what
    failures = failures + 1
  end subroutine
end program
