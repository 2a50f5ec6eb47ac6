import Foundation

/// A proxy before an SSH server that flips one bit of what one side sends, when told to.
final class TamperingProxy: @unchecked Sendable {
    enum Direction: String, CaseIterable {
        case toServer
        case toClient
    }

    let port: UInt16
    private let lock = NSLock()
    private var pending: Direction?
    private var skip = 0
    let flipped = Counter()

    init(on stage: Stage, to server: SSHServer) throws {
        let listener = try Listener(.tcp(0))
        guard case .tcp(let chosen) = listener.address else { throw Failure("the proxy has no port") }
        port = chosen
        stage.atEnd { listener.close() }
        let target = Address.tcpAt(server.host, server.port)
        let thread = Thread { [self] in
            while let near = listener.accept() {
                guard let far = try? TestSocket.connect(target) else {
                    near.close()
                    continue
                }
                near.setDeadline(300)
                far.setDeadline(300)
                let up = Running { self.carry(from: near, to: far, .toServer) }
                let down = Running { self.carry(from: far, to: near, .toClient) }
                // The sockets close when both ways have ended.
                Thread { _ = (try? up.join(), try? down.join(), near, far) }.start()
            }
        }
        thread.start()
    }

    /// The bit that comes after `count` more bytes in that direction is turned over; then all is carried faithfully.
    func flipOneBit(_ direction: Direction, after count: Int) {
        lock.withLock {
            pending = direction
            skip = count
        }
    }

    private func carry(from source: TestSocket, to sink: TestSocket, _ direction: Direction) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 64)
        defer {
            buffer.deallocate()
            shutdown(source.descriptor, Int32(SHUT_RD))
            sink.endWriting()
        }
        while case .bytes(let count) = (try? source.receive(into: buffer)) ?? .end {
            lock.withLock {
                guard pending == direction else { return }
                guard skip < count else {
                    skip -= count
                    return
                }
                buffer[skip] ^= 1 << UInt8.random(in: 0..<8)
                pending = nil
                flipped.add(1)
            }
            guard (try? sink.sendAll(.init(rebasing: buffer[..<count]))) != nil else { return }
        }
    }
}
