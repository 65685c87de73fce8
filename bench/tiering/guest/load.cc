// bench_tiering_load: fills a key-value server, or asks it for keys that follow Zipf's law, over a
// Unix socket. It speaks the protocols of Redis (RESP) and of memcached (text), and compares every
// byte of every reply with what it must be, so it is a test of the server's allocator as well.
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "bench/tiering/zipf.h"

namespace {

using namespace hms::bench::tiering;

// Of values: YCSB's records have 1 KiB; here half of it to twice as much is as likely.
constexpr uint64_t kValueMin = 16, kValueMax = 2048;
constexpr double kExponent = 0.99;
constexpr uint64_t kSetOneIn = 10;
// Requests at once. Two batches with their replies must fit into the buffers of a socket.
constexpr uint64_t kBatch = 24;
constexpr time_t kPatience = 120;  // seconds without a byte

const char kUsage[] =
    "usage: bench_tiering_load redis|memcached SOCKET fill --keys N\n"
    "       bench_tiering_load redis|memcached SOCKET ask --keys N --requests N [--seed N]\n";

[[noreturn]] void usage(const std::string& why) { throw std::invalid_argument(why); }
[[noreturn]] void fail(const std::string& why) { throw std::runtime_error(why); }

struct Options {
  bool redis = false, fill = false;
  std::string path;
  uint64_t keys = 0, requests = 0, seed = 1;
};

Options parse(int count, char** words) {
  if (count < 4) usage("too few words");
  Options options;
  const std::string protocol = words[1], what = words[3];
  options.redis = protocol == "redis";
  options.fill = what == "fill";
  options.path = words[2];
  if (!options.redis && protocol != "memcached") usage("no protocol '" + protocol + "'");
  if (!options.fill && what != "ask") usage("neither fill nor ask: '" + what + "'");
  for (int i = 4; i < count; i += 2) {
    const std::string option = words[i];
    uint64_t* number = option == "--keys"       ? &options.keys
                       : option == "--requests" ? &options.requests
                       : option == "--seed"     ? &options.seed
                                                : nullptr;
    if (number == nullptr) usage("unknown option '" + option + "'");
    char* end = nullptr;
    if (i + 1 < count) *number = strtoull(words[i + 1], &end, 10);
    if (end == nullptr || end == words[i + 1] || *end != '\0') usage(option + " wants a number");
  }
  if (options.keys == 0) usage("--keys must be given, and not be 0");
  if (options.fill == (options.requests != 0)) usage("--requests belongs to ask, and only to it");
  return options;
}

std::string name_of(uint64_t key) { return "key:" + std::to_string(key); }

// Always the same for a key.
std::string value_of(uint64_t key) {
  const uint64_t mixed = scramble(key + 1);
  char tag[17];
  snprintf(tag, sizeof tag, "%016llx", static_cast<unsigned long long>(mixed));
  const size_t bytes = kValueMin + mixed % (kValueMax - kValueMin + 1);
  std::string value;
  value.reserve(bytes + sizeof tag);
  while (value.size() < bytes) value += tag;
  value.resize(bytes);
  return value;
}

// What is sent, and what must come back.
struct Batch {
  std::string requests, replies;

  void set(bool redis, uint64_t key) {
    const std::string name = name_of(key), value = value_of(key);
    if (redis) {
      requests += "*3\r\n$3\r\nSET\r\n$" + std::to_string(name.size()) + "\r\n" + name + "\r\n$" +
                  std::to_string(value.size()) + "\r\n" + value + "\r\n";
      replies += "+OK\r\n";
    } else {
      requests += "set " + name + " 0 0 " + std::to_string(value.size()) + "\r\n" + value + "\r\n";
      replies += "STORED\r\n";
    }
  }
  void get(bool redis, uint64_t key) {
    const std::string name = name_of(key), value = value_of(key);
    const std::string bytes = std::to_string(value.size());
    if (redis) {
      requests += "*2\r\n$3\r\nGET\r\n$" + std::to_string(name.size()) + "\r\n" + name + "\r\n";
      replies += "$" + bytes + "\r\n" + value + "\r\n";
    } else {
      requests += "get " + name + "\r\n";
      replies += "VALUE " + name + " 0 " + bytes + "\r\n" + value + "\r\nEND\r\n";
    }
  }
};

class Server {
 public:
  explicit Server(const std::string& path) : socket_(socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) fail("the name of the socket is too long: " + path);
    memcpy(address.sun_path, path.c_str(), path.size());
    const timeval patience{kPatience, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      fail("cannot connect to " + path + ": " + strerrordesc_np(errno));
  }
  ~Server() { close(socket_); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void send(const Batch& batch) const {
    for (size_t done = 0; done < batch.requests.size();) {
      const ssize_t n =
          ::send(socket_, batch.requests.data() + done, batch.requests.size() - done, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail(std::string("cannot send: ") + strerrordesc_np(errno));
      done += static_cast<size_t>(n);
    }
  }
  // Fails if a byte is not what it should be.
  void receive(const Batch& batch) const {
    char buffer[65536];
    for (size_t done = 0; done < batch.replies.size();) {
      const size_t left = batch.replies.size() - done;
      const ssize_t n = recv(socket_, buffer, left < sizeof buffer ? left : sizeof buffer, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail(std::string("no reply: ") + strerrordesc_np(errno));
      if (n == 0) fail("the server closed the connection");
      const auto got = static_cast<size_t>(n);
      if (memcmp(buffer, batch.replies.data() + done, got) != 0) {
        fail("a wrong reply: '" + std::string(buffer, got).substr(0, 80) + "' instead of '" +
             batch.replies.substr(done, 80) + "'");
      }
      done += got;
    }
  }

 private:
  int socket_;
};

// While the server works on one batch the next is made.
template <typename Add>
void converse(const Server& server, uint64_t requests, Add add) {
  Batch before;
  for (uint64_t at = 0; at < requests;) {
    Batch batch;
    for (uint64_t i = 0; i < kBatch && at < requests; ++i, ++at) add(&batch, at);
    server.send(batch);
    server.receive(before);
    before = batch;
  }
  server.receive(before);
}

void run(const Options& options) {
  const Server server(options.path);
  if (options.fill) {
    converse(server, options.keys,
             [&](Batch* batch, uint64_t at) { batch->set(options.redis, at); });
    return;
  }
  const Zipf zipf(options.keys, kExponent);
  Random random(options.seed);
  converse(server, options.requests, [&](Batch* batch, uint64_t at) {
    // Those asked for most are not those that came first.
    const uint64_t key = scramble(zipf.draw(random)) % options.keys;
    at % kSetOneIn == 0 ? batch->set(options.redis, key) : batch->get(options.redis, key);
  });
}

}  // namespace

int main(int count, char** words) {
  try {
    run(parse(count, words));
    return 0;
  } catch (const std::invalid_argument& wrong) {
    fprintf(stderr, "bench_tiering_load: %s\n%s", wrong.what(), kUsage);
    return 2;
  } catch (const std::exception& failure) {
    fprintf(stderr, "bench_tiering_load: %s\n", failure.what());
    return 1;
  }
}
