// A shared object that calls back, built twice with different content: the "other object" that is
// rebuilt in stable_key_test.cc.
int hms_test_call(int (*back)(void*), void* argument);

static volatile int ballast[BALLAST];

int hms_test_call(int (*back)(void*), void* argument) {
  for (int i = 0; i < BALLAST; ++i) ballast[i] += i;
  return back(argument) + ballast[0];  // not a tail call
}
