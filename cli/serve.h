// A server for one page of text: GET /metrics, nothing else. One thread, few connections, and
// limits on what a client may send and how long it may take.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <string>

#include "runtime/support/result.h"

namespace hms::cli {

// Where to listen: "PORT" (on 127.0.0.1), "ADDRESS:PORT", "[ADDRESS]:PORT"; addresses are numbers,
// or localhost.
struct Endpoint {
  sockaddr_storage address = {};
  socklen_t length = 0;
  bool loopback = false;
};
Result<Endpoint> parse_endpoint(const std::string& text);

class Server {
 public:
  Server() = default;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  // From then on Ctrl-C and SIGTERM only end serve().
  Status listen_on(const Endpoint& endpoint);
  // Where it really listens: port 0 means any that is free.
  std::string where() const;
  // Until Ctrl-C or SIGTERM. `page` is called for each request.
  void serve(const char* type, const std::function<std::string()>& page);

 private:
  int socket_ = -1, signals_ = -1;
};

}  // namespace hms::cli
