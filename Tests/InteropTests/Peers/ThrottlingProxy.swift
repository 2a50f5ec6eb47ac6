import Foundation

/// A proxy before an SSH server whose way there is slow: so many bytes a second, with little queued before it.
final class ThrottlingProxy: Sendable {
    let port: UInt16

    init(on stage: Stage, to server: SSHServer, bytesASecond: Int) throws {
        let listener = try Listener(.tcp(0))
        guard case .tcp(let chosen) = listener.address else { throw Failure("the proxy has no port") }
        port = chosen
        var small: Int32 = 32_768
        // Inherited by what it accepts.
        setsockopt(listener.descriptor, SOL_SOCKET, SO_RCVBUF, &small, socklen_t(MemoryLayout<Int32>.size))
        stage.atEnd { listener.close() }
        let target = Address.tcpAt(server.host, server.port)
        Thread {
            while let near = listener.accept() {
                guard let far = try? TestSocket.connect(target) else { continue }
                for socket in [near, far] { socket.setDeadline(300) }
                Thread { Self.carry(near, far, bytesASecond) }.start()
                Thread { Self.carry(far, near, nil) }.start()
            }
        }.start()
    }

    private static func carry(_ source: TestSocket, _ sink: TestSocket, _ bytesASecond: Int?) {
        var bytes = [UInt8](repeating: 0, count: 16_384)
        var due = monotonicSeconds()
        while case .bytes(let count)? = try? bytes.withUnsafeMutableBytes({ try source.receive(into: $0) }) {
            if let bytesASecond {
                due = max(due, monotonicSeconds() - 0.02) + Double(count) / Double(bytesASecond)
                let wait = due - monotonicSeconds()
                if wait > 0 { usleep(UInt32(wait * 1e6)) }
            }
            guard (try? bytes.withUnsafeBytes { try sink.sendAll(.init(rebasing: $0[..<count])) }) != nil else { break }
        }
        sink.endWriting()
    }
}
