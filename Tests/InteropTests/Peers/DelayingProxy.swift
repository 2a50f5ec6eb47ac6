import Foundation

/// A proxy before an SSH server that carries every byte faithfully and late: a path that is long and wide.
final class DelayingProxy: @unchecked Sendable {
    let port: UInt16
    /// Seconds each way.
    let delay: Double

    init(on stage: Stage, to server: SSHServer, delay: Double) throws {
        self.delay = delay
        let listener = try Listener(.tcp(0))
        guard case .tcp(let chosen) = listener.address else { throw Failure("the proxy has no port") }
        port = chosen
        stage.atEnd { listener.close() }
        let target = Address.tcpAt(server.host, server.port)
        let thread = Thread {
            while let near = listener.accept() {
                guard let far = try? TestSocket.connect(target) else {
                    near.close()
                    continue
                }
                var running: [Running] = []
                for (source, sink) in [(near, far), (far, near)] {
                    source.setDeadline(300)
                    let path = Path()
                    running.append(Running { Self.take(from: source, path, delay) })
                    running.append(Running { Self.hand(path, to: sink) })
                }
                // The sockets close when both ways have ended.
                let all = running
                Thread { _ = (all.map { try? $0.join() }, near, far) }.start()
            }
        }
        thread.start()
    }

    /// What is under way in one direction.
    private final class Path: @unchecked Sendable {
        private let condition = NSCondition()
        private var pieces: [(due: Double, bytes: Data)] = []
        private var hasEnded = false

        func put(_ bytes: Data, due: Double) {
            condition.withLock {
                pieces.append((due, bytes))
                condition.signal()
            }
        }

        func end() {
            condition.withLock {
                hasEnded = true
                condition.signal()
            }
        }

        /// Everything under way, nil after the end.
        func take() -> [(due: Double, bytes: Data)]? {
            condition.withLock {
                while pieces.isEmpty && !hasEnded { condition.wait() }
                defer { pieces = [] }
                return pieces.isEmpty ? nil : pieces
            }
        }
    }

    private static func take(from source: TestSocket, _ path: Path, _ delay: Double) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
        defer { buffer.deallocate() }
        while case .bytes(let count) = (try? source.receive(into: buffer)) ?? .end {
            path.put(Data(buffer[..<count]), due: monotonicSeconds() + delay)
        }
        path.end()
    }

    private static func hand(_ path: Path, to sink: TestSocket) {
        defer { sink.endWriting() }
        while let pieces = path.take() {
            for piece in pieces {
                let wait = piece.due - monotonicSeconds()
                if wait > 0 { usleep(UInt32(wait * 1e6)) }
                guard (try? piece.bytes.withUnsafeBytes { try sink.sendAll($0) }) != nil else { return }
            }
        }
    }
}
