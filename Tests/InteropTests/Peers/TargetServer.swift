import Foundation

/// The program at the far end of a forward: a listener whose every connection is served on a thread of its own.
///
/// What a connection's handler throws is kept in `failures`: a flow that breaks is often what a test wants.
final class TargetServer: @unchecked Sendable {
    let listener: Listener
    let accepted = Counter()
    let failures = Mailbox<any Error>()

    var address: Address { listener.address }

    /// `receiveBuffer`: bytes that its kernel holds of each connection.
    init(
        on stage: Stage, _ address: Address = .tcp(0), receiveBuffer: Int32? = nil,
        _ serve: @escaping @Sendable (TestSocket) throws -> Void
    ) throws {
        listener = try Listener(address)
        if var receiveBuffer {
            // Inherited by what it accepts.
            setsockopt(
                listener.descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        let listener = listener
        stage.atEnd { listener.close() }
        let thread = Thread { [accepted, failures] in
            while let connection = listener.accept() {
                accepted.add(1)
                let worker = Thread {
                    do { try serve(connection) } catch { failures.put(error) }
                    connection.close()
                }
                worker.stackSize = 512 << 10
                worker.start()
            }
        }
        thread.start()
    }

    /// Sends back what comes, and ends when the peer ends.
    static func echo(on stage: Stage, _ address: Address = .tcp(0)) throws -> TargetServer {
        try TargetServer(on: stage, address) { connection in
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while case .bytes(let count) = try buffer.withUnsafeMutableBytes({ try connection.receive(into: $0) }) {
                try buffer.withUnsafeBytes { try connection.sendAll(.init(rebasing: $0[..<count])) }
            }
        }
    }

    /// Hands every accepted connection to the test, which does with it what it wants.
    static func handingOver(on stage: Stage, _ address: Address = .tcp(0)) throws -> (TargetServer, Mailbox<TestSocket>)
    {
        let mailbox = Mailbox<TestSocket>()
        let server = try TargetServer(on: stage, address) { connection in
            // The test's socket is its own descriptor: this one is closed when the handler returns.
            let copy = dup(connection.descriptor)
            _ = fcntl(copy, F_SETFD, FD_CLOEXEC)
            let handed = TestSocket(descriptor: copy)
            handed.setDeadline(60)
            mailbox.put(handed)
        }
        return (server, mailbox)
    }
}
