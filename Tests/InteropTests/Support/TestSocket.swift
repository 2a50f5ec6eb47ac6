import Foundation

/// Where a socket of the tests listens or connects to.
enum Address: Hashable, CustomStringConvertible {
    case tcp(UInt16)
    case tcpAt(String, UInt16)
    case unix(String)

    var description: String {
        switch self {
        case .tcp(let port): "127.0.0.1:\(port)"
        case .tcpAt(let host, let port): "\(host):\(port)"
        case .unix(let path): path
        }
    }

    func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t, Int32) throws -> Result) throws -> Result {
        switch self {
        case .tcp(let port): return try Address.tcpAt("127.0.0.1", port).withSockaddr(body)
        case .tcpAt(let host, let port) where host.contains(":"):
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            guard inet_pton(AF_INET6, host, &address.sin6_addr) == 1 else {
                throw Failure("\(host) is no IPv6 address")
            }
            return try withUnsafePointer(to: &address) {
                try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    try body($0, socklen_t(MemoryLayout<sockaddr_in6>.size), AF_INET6)
                }
            }
        case .tcpAt(let host, let port):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { throw Failure("\(host) is no IPv4 address") }
            return try withUnsafePointer(to: &address) {
                try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    try body($0, socklen_t(MemoryLayout<sockaddr_in>.size), AF_INET)
                }
            }
        case .unix(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let bytes = Array(path.utf8CString)
            guard bytes.count <= MemoryLayout.size(ofValue: address.sun_path) else { throw Failure("\(path) is long") }
            withUnsafeMutableBytes(of: &address.sun_path) { room in bytes.withUnsafeBytes { room.copyMemory(from: $0) }
            }
            return try withUnsafePointer(to: &address) {
                try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    try body($0, socklen_t(MemoryLayout<sockaddr_un>.size), AF_UNIX)
                }
            }
        }
    }
}

/// How a read ended.
enum Received: Equatable {
    case bytes(Int)
    case end
    case reset
}

/// A blocking stream socket with a deadline on every call.
final class TestSocket: @unchecked Sendable {
    let descriptor: Int32
    private var isOpen = true

    init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close() }

    static func connect(_ address: Address, deadline: Double = 20, receiveBuffer: Int32? = nil) throws -> TestSocket {
        try address.withSockaddr { pointer, length, family in
            let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else { throw Failure("no socket: \(lastError())") }
            let made = TestSocket(descriptor: descriptor)
            made.setDeadline(deadline)
            // Before the connection stands: its window is offered from the beginning.
            if let receiveBuffer { made.setReceiveBuffer(receiveBuffer) }
            guard Glibc.connect(descriptor, pointer, length) == 0 else {
                throw Failure("cannot connect to \(address): \(lastError())")
            }
            return made
        }
    }

    /// Connects as soon as somebody listens there.
    static func connectWhenListening(_ address: Address, within deadline: Double = 15) throws -> TestSocket {
        try eventually("\(address) accepts a connection", within: deadline) { try? connect(address) }
    }

    func setDeadline(_ seconds: Double) {
        var value = timeval(tv_sec: Int(seconds), tv_usec: Int((seconds - seconds.rounded(.down)) * 1e6))
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &value, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &value, size)
    }

    func setReceiveBuffer(_ bytes: Int32) {
        var value = bytes
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// One read. What is not an end (deadline passed, our own mistake) is thrown.
    func receive(into buffer: UnsafeMutableRawBufferPointer) throws -> Received {
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            switch errno {
            case EINTR: continue
            case ECONNRESET, EPIPE: return .reset
            default: throw Failure("read: \(lastError())")
            }
        }
    }

    func sendAll(_ bytes: UnsafeRawBufferPointer) throws {
        var sent = 0
        while sent < bytes.count {
            let count = Glibc.send(
                descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            if count > 0 {
                sent += count
            } else if errno != EINTR {
                throw Failure("write: \(lastError())")
            }
        }
    }

    func send(bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try sendAll($0) } }

    /// Exactly so many bytes.
    func receive(count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var have = 0
        while have < count {
            let read = try bytes.withUnsafeMutableBytes { try receive(into: .init(rebasing: $0[have...])) }
            guard case .bytes(let more) = read else { throw Failure("ended after \(have) of \(count) bytes") }
            have += more
        }
        return bytes
    }

    func send(_ text: String) throws { try Array(text.utf8).withUnsafeBytes { try sendAll($0) } }

    /// Reads exactly `count` bytes as text; an end before them is thrown.
    func receiveText(count: Int) throws -> String {
        var bytes = [UInt8](repeating: 0, count: count)
        var have = 0
        while have < count {
            let read = try bytes.withUnsafeMutableBytes { try receive(into: .init(rebasing: $0[have...])) }
            guard case .bytes(let more) = read else { throw Failure("\(read) after \(have) of \(count) bytes") }
            have += more
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Reads until the peer's end; a reset is thrown.
    func receiveTextToEnd() throws -> String {
        var text: [UInt8] = []
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while true {
            switch try bytes.withUnsafeMutableBytes({ try receive(into: $0) }) {
            case .bytes(let count): text += bytes[..<count]
            case .end: return String(decoding: text, as: UTF8.self)
            case .reset: throw Failure("reset after \(text.count) bytes")
            }
        }
    }

    /// Throws away what comes until the flow ends, and says how it ended.
    @discardableResult
    func drainToEnd(within deadline: Double) throws -> Received {
        let limit = monotonicSeconds() + deadline
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while true {
            let left = limit - monotonicSeconds()
            guard left > 0 else { throw Failure("the flow has not ended within \(deadline) s") }
            setDeadline(left)
            let read = try bytes.withUnsafeMutableBytes { try receive(into: $0) }
            if case .bytes = read { continue }
            return read
        }
    }

    /// Bytes sent that the other kernel has not acknowledged.
    var unacknowledged: Int {
        var count: Int32 = 0
        return ioctl(descriptor, UInt(TIOCOUTQ), &count) == 0 ? Int(count) : 0
    }

    /// What comes until the end, after `pause` seconds; nothing for the deadline counts as no end.
    func readToEnd(pausing pause: Double = 0, bytesASecond: Int? = nil) -> (count: Int, ending: Received?) {
        usleep(UInt32(pause * 1e6))
        var bytes = [UInt8](repeating: 0, count: 16_384)
        var count = 0
        while true {
            guard let read = try? bytes.withUnsafeMutableBytes({ try receive(into: $0) }) else { return (count, nil) }
            guard case .bytes(let more) = read else { return (count, read) }
            count += more
            if let bytesASecond { usleep(UInt32(Double(more) / Double(bytesASecond) * 1e6)) }
        }
    }

    func endWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Hands on what comes, and its end.
    func pass(to sink: TestSocket) throws {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while case .bytes(let count) = try bytes.withUnsafeMutableBytes({ try receive(into: $0) }) {
            try bytes.withUnsafeBytes { try sink.sendAll(.init(rebasing: $0[..<count])) }
        }
        sink.endWriting()
    }

    /// Takes questions for names, and answers none.
    static func silentNameServer() throws -> (socket: TestSocket, host: String) {
        let host = "127.0.0.77"
        return try Address.tcpAt(host, 53).withSockaddr { pointer, length, family in
            let made = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard made >= 0 else { throw Failure("no socket: \(lastError())") }
            guard bind(made, pointer, length) == 0 else { throw Failure("\(host): \(lastError())") }
            return (TestSocket(descriptor: made), host)
        }
    }

    /// Ends the connection with RST.
    func reset() {
        var value = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    func close() {
        guard isOpen else { return }
        isOpen = false
        Glibc.close(descriptor)
    }
}

func lastError() -> String { String(cString: strerror(errno)) }

/// TCP ports that nothing listens on, from below the range the kernel takes for outgoing connections.
enum Ports {
    private static let lock = NSLock()
    nonisolated(unsafe) private static var given: Set<UInt16> = []

    static func free() throws -> UInt16 {
        lock.lock()
        defer { lock.unlock() }
        for _ in 0..<1000 {
            let port = UInt16.random(in: 12_000..<32_000)
            guard !given.contains(port), let listener = try? Listener(.tcp(port)) else { continue }
            listener.close()
            given.insert(port)
            return port
        }
        throw Failure("no free port")
    }
}

/// A listening socket.
final class Listener: @unchecked Sendable {
    let address: Address
    let descriptor: Int32
    private var isOpen = true
    private let lock = NSLock()

    init(_ wanted: Address, backlog: Int32 = 4096) throws {
        let opened = try wanted.withSockaddr { pointer, length, family in
            let made = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard made >= 0 else { throw Failure("no socket: \(lastError())") }
            var yes: Int32 = 1
            setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
            guard bind(made, pointer, length) == 0, listen(made, backlog) == 0 else {
                let reason = lastError()
                Glibc.close(made)
                throw Failure("cannot listen on \(wanted): \(reason)")
            }
            return made
        }
        descriptor = opened
        guard case .tcp(0) = wanted else {
            address = wanted
            return
        }
        var bound = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &bound) {
            _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(opened, $0, &size) }
        }
        address = .tcp(UInt16(bigEndian: bound.sin_port))
    }

    /// nil once the listener is closed.
    func accept() -> TestSocket? {
        while true {
            let accepted = Glibc.accept(descriptor, nil, nil)
            if accepted >= 0 {
                _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
                let made = TestSocket(descriptor: accepted)
                made.setDeadline(60)
                return made
            }
            if errno != EINTR && errno != ECONNABORTED { return nil }
        }
    }

    func close() {
        lock.lock()
        defer { lock.unlock() }
        guard isOpen else { return }
        isOpen = false
        // Wakes a thread that waits in accept.
        shutdown(descriptor, Int32(SHUT_RDWR))
        Glibc.close(descriptor)
        if case .unix(let path) = address { unlink(path) }
    }
}
