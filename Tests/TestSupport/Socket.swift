import Foundation

/// A loopback TCP socket that may block; its owner closes it.
public struct Socket: Sendable {
    public let descriptor: Int32

    public init(descriptor: Int32) { self.descriptor = descriptor }

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    private static func make() throws -> Socket {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failed("socket: \(errno)") }
        return Socket(descriptor: descriptor)
    }

    public static func connect(_ port: UInt16) throws -> Socket {
        let made = try make()
        var address = address(port)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Foundation.connect(made.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            made.close()
            throw Failed("connect: \(errno)")
        }
        return made
    }

    public static func listen() throws -> (Socket, UInt16) {
        let made = try make()
        var bound = address(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &bound) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(made.descriptor, address, length) == 0 && Foundation.listen(made.descriptor, 512) == 0
                    && getsockname(made.descriptor, address, &length) == 0
            }
        }
        guard result else { throw Failed("listen: \(errno)") }
        return (made, UInt16(bigEndian: bound.sin_port))
    }

    public func accept() -> Socket? {
        let got = Foundation.accept(descriptor, nil, nil)
        return got >= 0 ? Socket(descriptor: got) : nil
    }

    public func read(_ maximum: Int = 65536) -> [UInt8]? {
        let bytes = [UInt8](unsafeUninitializedCapacity: maximum) { buffer, count in
            count = max(0, Foundation.read(descriptor, buffer.baseAddress, maximum))
        }
        return bytes.isEmpty ? nil : bytes
    }

    @discardableResult public func write(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    public func endWriting() { _ = shutdown(descriptor, Int32(SHUT_WR)) }
    public func close() { _ = Foundation.close(descriptor) }

    /// Close with a reset instead of an end.
    public func reset() {
        var option = Foundation.linger(l_onoff: 1, l_linger: 0)
        _ = setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<Foundation.linger>.size))
        close()
    }
}

public func freePort() throws -> UInt16 {
    let (socket, port) = try Socket.listen()
    socket.close()
    return port
}

/// Listens on a free port and gives every connection to a thread of its own.
public final class Service: Sendable {
    public let port: UInt16
    private let listener: Socket

    public init(_ serve: @escaping @Sendable (Socket) -> Void) throws {
        let (listener, port) = try Socket.listen()
        self.listener = listener
        self.port = port
        Thread.detachNewThread {
            while let connection = listener.accept() {
                Thread.detachNewThread {
                    serve(connection)
                    connection.close()
                }
            }
        }
    }

    /// Sends back what comes, then ends its side.
    public static func echo() throws -> Service {
        try Service { connection in
            while let bytes = connection.read(), connection.write(bytes) {}
            connection.endWriting()
        }
    }

    deinit {
        _ = shutdown(listener.descriptor, Int32(SHUT_RDWR))
        listener.close()
    }
}
