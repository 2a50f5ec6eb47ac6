import Foundation

/// A TCP proxy on a free port that does one thing wrong, to one of its connections.
final class BadProxy: @unchecked Sendable {
    enum Behaviour: Sendable {
        /// Damages what goes up or down, once this many bytes have gone that way.
        case fault(StreamFault, isUp: Bool, after: Int)
        /// Carries nothing for a while, once this many bytes have gone up.
        case stall(seconds: Double, after: Int)
        /// Ends both sides, with a reset or in order, once this many bytes have gone up.
        case cut(reset: Bool, after: Int)
        /// Takes connections and carries nothing.
        case silence
    }

    private let listener: Int32
    let port: UInt16
    private let target: UInt16
    private let behaviour: Behaviour
    /// Which connection, in the order of their coming, is treated badly; the others are carried well.
    private let victim: Int
    private let lock = NSLock()
    private var descriptors: [Int32] = []
    private var isEnding = false

    init(to target: UInt16, _ behaviour: Behaviour, victim: Int = 0) throws {
        (listener, port) = try Sockets.listen()
        self.target = target
        self.behaviour = behaviour
        self.victim = victim
        Thread.detachNewThread { [self] in acceptAll() }
    }

    /// Ends every connection. The descriptors stay until their threads have left them.
    func end() {
        lock.lock()
        isEnding = true
        for each in descriptors { shutdown(each, Int32(SHUT_RDWR)) }
        lock.unlock()
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private func acceptAll() {
        var count = 0
        while true {
            let near = accept(listener, nil, nil)
            guard near >= 0 else { break }
            guard let far = try? Sockets.connect(target) else {
                close(near)
                continue
            }
            lock.lock()
            descriptors += [near, far]
            let stop = isEnding
            lock.unlock()
            if stop { for each in [near, far] { shutdown(each, Int32(SHUT_RDWR)) } }
            let isVictim = count == victim
            count += 1
            Thread.detachNewThread { [self] in carry(near, far, isVictim ? behaviour : nil, isUp: true) }
            Thread.detachNewThread { [self] in carry(far, near, isVictim ? behaviour : nil, isUp: false) }
        }
        close(listener)
    }

    /// Moves bytes one way until the end. The sockets of a test are few: they are closed when the process ends, but for
    /// those that are reset.
    private func carry(_ source: Int32, _ sink: Int32, _ behaviour: Behaviour?, isUp: Bool) {
        defer { shutdown(sink, Int32(SHUT_WR)) }
        switch behaviour {
        case .fault(let fault, let faultIsUp, let offset) where faultIsUp == isUp:
            guard let bytes = Sockets.read(source, count: offset + 2 * StreamFault.length),
                Sockets.write(sink, fault.applied(to: bytes, at: offset))
            else { return }
        case .stall(let seconds, let offset) where isUp:
            guard let bytes = Sockets.read(source, count: offset), Sockets.write(sink, bytes) else { return }
            Thread.sleep(forTimeInterval: seconds)
        case .cut(let reset, let offset) where isUp:
            guard let bytes = Sockets.read(source, count: offset), Sockets.write(sink, bytes) else { return }
            if reset {
                var linger = linger(l_onoff: 1, l_linger: 0)
                setsockopt(source, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
                // Its number stays ours: a socket that takes the place is closed over it.
                let null = open("/dev/null", O_RDWR | O_CLOEXEC)
                dup2(null, source)
                close(null)
            } else {
                shutdown(source, Int32(SHUT_WR))
                // What still comes is taken: unread, it would make a reset of the end.
                while Sockets.read(source, count: 1) != nil {}
            }
            return
        case .silence: return _ = Sockets.read(source, count: .max)
        case .fault, .stall, .cut, nil: break
        }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(source, &buffer, buffer.count, 0)
            guard count > 0, Sockets.write(sink, Array(buffer[..<count])) else { return }
        }
    }
}

/// Blocking loopback sockets.
enum Sockets {
    struct Failure: Error {}

    private static func withAddress<Result>(
        _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }

    private static func make() -> Int32 {
        let made = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var on: Int32 = 1
        setsockopt(made, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
        return made
    }

    /// A listener on a free port.
    static func listen() throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = make()
        guard withAddress(0, { bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, 128) == 0 else {
            throw Failure()
        }
        return (descriptor, try port(of: descriptor))
    }

    /// A bound port where nobody listens; it stays so while the descriptor is open.
    static func boundOnly() throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = make()
        guard withAddress(0, { bind(descriptor, $0, $1) }) == 0 else { throw Failure() }
        return (descriptor, try port(of: descriptor))
    }

    private static func port(of descriptor: Int32) throws -> UInt16 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard result == 0 else { throw Failure() }
        return UInt16(bigEndian: address.sin_port)
    }

    /// With a deadline of ten seconds on every call.
    static func connect(_ port: UInt16) throws -> Int32 {
        let descriptor = make()
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard withAddress(port, { Glibc.connect(descriptor, $0, $1) }) == 0 else {
            close(descriptor)
            throw Failure()
        }
        return descriptor
    }

    /// nil when the stream ends before.
    static func read(_ descriptor: Int32, count: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < count {
            let got = recv(descriptor, &buffer, min(buffer.count, count - bytes.count), 0)
            guard got > 0 else { return nil }
            bytes += buffer[..<got]
        }
        return bytes
    }

    /// Everything up to the end; nil where it is none.
    static func readToEnd(_ descriptor: Int32) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let got = recv(descriptor, &buffer, buffer.count, 0)
            if got == 0 { return bytes }
            guard got > 0 else { return nil }
            bytes += buffer[..<got]
        }
    }

    static func write(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}
