/* The access trait: which threads share a pool. OpenMP 5.2 section 6.2: pool_size limits what is in
 * use by the group of threads that the trait names; 6.0 section 8.2 calls it the access group. */
#include "harness.h"

#include <pthread.h>

static void access_thread_has_a_pool_each(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_access, omp_atv_thread),
                     trait(omp_atk_pool_size, 4096), NULL_FB);
  int good = 0;
  void* kept[4];
#pragma omp parallel num_threads(4) reduction(+ : good)
  {
    void* p = kept[omp_get_thread_num()] = omp_alloc(3000, h);
    void* q = omp_alloc(3000, h);
    good += p != NULL && q == NULL;
#pragma omp barrier
  }
  CHECK(good == 4);
  for (int i = 0; i < 4; i++) omp_free(kept[i], h); /* credited to the thread that was charged */
  good = 0;
#pragma omp parallel num_threads(4) reduction(+ : good)
  {
    void* p = omp_alloc(3000, h);
    good += p != NULL;
    omp_free(p, h);
  }
  CHECK(good == 4);
  omp_destroy_allocator(h);
}

static void access_pteam_has_a_pool_each(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_access, omp_atv_pteam),
                     trait(omp_atk_pool_size, 4096), NULL_FB);
  int got = 0;
  omp_set_max_active_levels(2);
#pragma omp parallel num_threads(2) reduction(+ : got)
  {
    int mine = 0;
#pragma omp parallel num_threads(2) reduction(+ : mine)
    {
      void* p = omp_alloc(3000, h);
      mine += p != NULL;
#pragma omp barrier
      omp_free(p, h);
    }
#pragma omp barrier
    got += mine == 1; /* one of the two threads of each inner team */
  }
  CHECK(got == 2);
  omp_destroy_allocator(h);
}

/* A league: each initial team is a contention group of its own, with a pool of its own (6.0 section
 * 8.2). The teams may come one after the other, and keep what they got. */
static void league(uintptr_t access) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_access, access),
                     trait(omp_atk_pool_size, 4096), NULL_FB);
  int good = 0, teams = 0;
#pragma omp teams num_teams(3) thread_limit(2) reduction(+ : good, teams)
#pragma omp parallel num_threads(1)
  {
    teams++;
    void* first = opaque(omp_alloc(3000, h));
    void* second = opaque(omp_alloc(3000, h));
    good += first != NULL && second == NULL;
  }
  CHECK(teams >= 1 && good == teams);
  omp_destroy_allocator(h);
}
static void access_cgroup_has_a_pool_for_each_team_of_a_league(void) { league(omp_atv_cgroup); }
static void access_pteam_has_a_pool_for_each_team_of_a_league(void) { league(omp_atv_pteam); }

/* Outside of parallel regions a thread is a team by itself (5.2, glossary: implicit parallel
 * region). */
static void* alone(void* h) { return opaque(omp_alloc(3000, (allocator)(uintptr_t)h)); }

static void access_pteam_outside_of_regions(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_access, omp_atv_pteam),
                     trait(omp_atk_pool_size, 4096), NULL_FB);
  pthread_t other;
  void* theirs = NULL;
  void* mine = omp_alloc(3000, h);
  CHECK(mine != NULL && omp_alloc(3000, h) == NULL);
  CHECK(pthread_create(&other, NULL, alone, (void*)(uintptr_t)h) == 0);
  pthread_join(other, &theirs);
  CHECK(theirs != NULL);
  omp_free(mine, h);
  omp_free(theirs, h);
  omp_destroy_allocator(h);
}

/* Freed by another group than was charged, and grown there: the pools of both stay exact. */
static void access_thread_and_blocks_that_change_hands(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_access, omp_atv_thread),
                     trait(omp_atk_pool_size, 4096), NULL_FB);
  char* shared = NULL;
  int good = 0;
#pragma omp parallel num_threads(2) reduction(+ : good)
  {
    if (omp_get_thread_num() == 0) shared = omp_alloc(3000, h);
#pragma omp barrier
    if (omp_get_thread_num() == 1) {
      void* own = omp_alloc(3000, h);
      omp_free(shared, h); /* credited to thread 0 */
      good += own != NULL && omp_alloc(3000, h) == NULL;
      omp_free(own, h);
    }
#pragma omp barrier
    void* again = omp_alloc(3900, h);
    good += again != NULL;
    omp_free(again, h);
  }
  CHECK(good == 3);
  omp_destroy_allocator(h);
}

/* A contention group is one pool, whatever teams its threads form. */
static void access_cgroup_spans_teams(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_access, omp_atv_cgroup),
                     trait(omp_atk_pool_size, 4096), NULL_FB);
  void* first = omp_alloc(3000, h);
  CHECK(first != NULL);
  int got = 0;
  omp_set_max_active_levels(2);
#pragma omp parallel num_threads(2) reduction(+ : got)
#pragma omp parallel num_threads(2) reduction(+ : got)
  got += opaque(omp_alloc(3000, h)) != NULL;
  CHECK(got == 0);
  omp_free(first, h);
  omp_destroy_allocator(h);
}

static void access_all_and_cgroup_share_one_pool(void) {
  const uintptr_t values[] = {omp_atv_all, omp_atv_cgroup, 19, 22, omp_atv_default};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    allocator h = MAKE(omp_default_mem_space, trait(omp_atk_access, values[i]),
                       trait(omp_atk_pool_size, 4096), NULL_FB);
    CHECK(h != omp_null_allocator);
    int got = 0;
#pragma omp parallel num_threads(3) reduction(+ : got)
    {
      void* p = omp_alloc(3000, h);
      got += p != NULL;
#pragma omp barrier
      omp_free(p, h);
    }
    CHECK(got == 1);
    omp_destroy_allocator(h);
  }
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"access_thread_has_a_pool_each", access_thread_has_a_pool_each, 0, NULL},
      {"access_pteam_has_a_pool_each", access_pteam_has_a_pool_each, 0, NULL},
      {"access_cgroup_has_a_pool_for_each_team_of_a_league",
       access_cgroup_has_a_pool_for_each_team_of_a_league, 0, NULL},
      {"access_pteam_has_a_pool_for_each_team_of_a_league",
       access_pteam_has_a_pool_for_each_team_of_a_league, 0, NULL},
      {"access_pteam_outside_of_regions", access_pteam_outside_of_regions, 0, NULL},
      {"access_thread_and_blocks_that_change_hands", access_thread_and_blocks_that_change_hands, 0,
       NULL},
      {"access_cgroup_spans_teams", access_cgroup_spans_teams, 0, NULL},
      {"access_all_and_cgroup_share_one_pool", access_all_and_cgroup_share_one_pool, 0, NULL},
  };
  return RUN_CASES(cases, argc, argv);
}
