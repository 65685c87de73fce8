// See serve.h. As much of HTTP/1.1 (RFC 9112) as a collector needs: every answer ends its
// connection.
#include "cli/serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "runtime/support/os_sampling.h"

namespace hms::cli {
namespace {

constexpr size_t kMaxRequest = 4096;
constexpr size_t kMaxConnections = 32;
constexpr int64_t kMaxTime =
    5'000'000'000;  // ns, from the connection to the last byte of the answer

// A descriptor that is closed with it.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

std::string answer(const char* status, const char* type, const std::string& body,
                   const char* more = "") {
  return std::string("HTTP/1.1 ") + status + "\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n" + more +
         "\r\n" + body;
}

std::string refusal(const char* status, const std::string& why, const char* more = "") {
  return answer(status, "text/plain; charset=utf-8", why + "\n", more);
}

// The answer to a request that has come to its end; `line` is its first.
std::string reply_to(const std::string& line, const char* type,
                     const std::function<std::string()>& page) {
  const size_t first = line.find(' ');
  const size_t second = first == std::string::npos ? first : line.find(' ', first + 1);
  if (second == std::string::npos || line.compare(second + 1, 7, "HTTP/1.") != 0) {
    return refusal("400 Bad Request", "not a request of HTTP/1");
  }
  if (line.substr(0, first) != "GET") {
    return refusal("405 Method Not Allowed", "only GET", "Allow: GET\r\n");
  }
  std::string path = line.substr(first + 1, second - first - 1);
  path = path.substr(0, path.find('?'));
  if (path != "/metrics") return refusal("404 Not Found", "there is only /metrics");
  return answer("200 OK", type, page());
}

struct Connection {
  Descriptor fd;
  int64_t until = 0;
  std::string in, out;
  size_t sent = 0;
  bool over = false;

  void receive(const char* type, const std::function<std::string()>& page) {
    char buffer[1024];
    const ssize_t n = recv(fd.get(), buffer, sizeof buffer, 0);
    if (n <= 0) {
      over = n == 0 || (errno != EAGAIN && errno != EINTR);
      return;
    }
    in.append(buffer, static_cast<size_t>(n));
    const size_t end = in.find("\r\n\r\n");
    if (end <= kMaxRequest) {
      out = reply_to(in.substr(0, in.find("\r\n")), type, page);
    } else if (in.size() > kMaxRequest) {
      out = refusal("431 Request Header Fields Too Large", "the request is too long");
    }
  }

  void reply() {
    const ssize_t n = send(fd.get(), out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
    if (n > 0) sent += static_cast<size_t>(n);
    over = (n < 0 && errno != EAGAIN && errno != EINTR) || sent == out.size();
    if (sent < out.size()) return;
    // What the client still sends must not cost it the answer: closing with unread bytes resets.
    shutdown(fd.get(), SHUT_WR);
    char rest[4096];
    while (recv(fd.get(), rest, sizeof rest, MSG_DONTWAIT) > 0) {
    }
  }
};

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET6) {
    const auto* six = reinterpret_cast<const sockaddr_in6*>(&address);
    return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) != 0;
  }
  const auto* four = reinterpret_cast<const sockaddr_in*>(&address);
  return (ntohl(four->sin_addr.s_addr) >> 24) == 127;
}

Status failed(const char* what) {
  return {HMS_EIO, std::string(what) + ": " + strerrordesc_np(errno)};
}

}  // namespace

Result<Endpoint> parse_endpoint(const std::string& text) {
  const Status wrong(HMS_EINVAL, "'" + text +
                                     "' is not [ADDRESS:]PORT; an address is a number or "
                                     "localhost, one of IPv6 stands in brackets: [::1]:9464");
  const size_t colon = text.rfind(':');
  std::string host = colon == std::string::npos ? "127.0.0.1" : text.substr(0, colon);
  const std::string port = text.substr(colon == std::string::npos ? 0 : colon + 1);
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  const bool digits = !port.empty() && port.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || port.size() > 5 || std::stoul(port) > 65535 || host.empty()) return wrong;
  if (brackets != (host.find(':') != std::string::npos)) return wrong;
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return wrong;
  Endpoint out;
  memcpy(&out.address, found->ai_addr, found->ai_addrlen);
  out.length = found->ai_addrlen;
  freeaddrinfo(found);
  out.loopback = is_loopback(out.address);
  return out;
}

Server::~Server() {
  if (socket_ >= 0) close(socket_);
  if (signals_ >= 0) close(signals_);
}

Status Server::listen_on(const Endpoint& endpoint) {
  socket_ = socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket_ < 0) return failed("cannot make a socket");
  const int on = 1;
  setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto* address = reinterpret_cast<const sockaddr*>(&endpoint.address);
  if (bind(socket_, address, endpoint.length) != 0 ||
      listen(socket_, static_cast<int>(kMaxConnections)) != 0) {
    return failed("cannot listen there");
  }
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  signals_ = signalfd(-1, &ends, SFD_CLOEXEC);
  return signals_ >= 0 ? Status() : failed("signalfd");
}

std::string Server::where() const {
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";
  getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length);
  getnameinfo(reinterpret_cast<sockaddr*>(&address), length, host, sizeof host, port, sizeof port,
              NI_NUMERICHOST | NI_NUMERICSERV);
  const bool six = address.ss_family == AF_INET6;
  return (six ? "[" : "") + std::string(host) + (six ? "]:" : ":") + port;
}

void Server::serve(const char* type, const std::function<std::string()>& page) {
  std::vector<Connection> connections;
  for (;;) {
    const bool room = connections.size() < kMaxConnections;
    std::vector<pollfd> ready = {{signals_, POLLIN, 0}, {room ? socket_ : -1, POLLIN, 0}};
    for (const Connection& c : connections) {
      ready.push_back({c.fd.get(), static_cast<short>(c.out.empty() ? POLLIN : POLLOUT), 0});
    }
    poll(ready.data(), ready.size(), connections.empty() ? -1 : 100);
    if (ready[0].revents != 0) return;
    for (size_t i = 0; i < connections.size(); ++i) {
      Connection& c = connections[i];
      if (ready[i + 2].revents != 0) c.out.empty() ? c.receive(type, page) : c.reply();
      c.over = c.over || os::monotonic_ns() > c.until;
    }
    connections.erase(std::remove_if(connections.begin(), connections.end(),
                                     [](const Connection& c) { return c.over; }),
                      connections.end());
    if (ready[1].revents == 0) continue;
    const int fd = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      poll(nullptr, 0, 100);  // no descriptor left, perhaps
      continue;
    }
    connections.push_back({Descriptor(fd), os::monotonic_ns() + kMaxTime, "", "", 0, false});
  }
}

}  // namespace hms::cli
