import CulvertIO
import CulvertSSH
import TestSupport
import Testing

@testable import CulvertRelay

/// A link on its way to a worker is its own: where nobody takes it any more, the server sees it end.
@Suite struct LoggedInLinkTests {
    private func link(over descriptor: Descriptor) throws -> LoggedInLink<NativeEngine> {
        let ends = try NativeEnds(NativeSettings(), EverybodyIsWelcome())
        return LoggedInLink(
            socket: BlockingSocket(adopting: descriptor), engine: ends.client,
            ring: try MirroredRing(capacity: 64 * 1024), summary: "")
    }

    /// What the far end reads: nothing, because the stream has ended. Throws ETIMEDOUT where it has not.
    private func end(of descriptor: Descriptor) throws -> Int {
        let far = BlockingSocket(adopting: descriptor)
        var buffer = [UInt8](repeating: 0, count: 16)
        return try buffer.withUnsafeMutableBytes { try far.receive(into: $0, deadline: Tick.current() + .seconds(5)) }
    }

    @Test func aLinkThatComesAfterItsTunnelsEndIsClosed() throws {
        let (near, far) = try SocketOption.pair()
        let worker: Mailbox<WorkerMessage<NativeEngine>> = try Mailbox()
        var control: Mailbox<ControlMessage>? = try Mailbox()
        control?.post(.loggedIn(LinkID(place: 0, serial: 1), ReadyLink(try link(over: near), for: worker)))
        control = nil
        #expect(try end(of: far) == 0)
        #expect(worker.takeAll().isEmpty)
    }

    @Test func oneThatIsDeliveredAndNotTakenIsClosedToo() throws {
        let (near, far) = try SocketOption.pair()
        var worker: Mailbox<WorkerMessage<NativeEngine>>? = try Mailbox()
        if let worker {
            ReadyLink(try link(over: near), for: worker).deliver(as: LinkID(place: 0, serial: 1), reverse: [])
        }
        worker = nil
        #expect(try end(of: far) == 0)
    }

    @Test func soIsAHopAndTheStreamBehindIt() throws {
        let (near, far) = try SocketOption.pair()
        let (channel, next) = try SocketOption.pair()
        var worker: Mailbox<WorkerMessage<NativeEngine>>? = try Mailbox()
        let hop = Hop(
            name: "hop", number: 0, host: "next", port: 22, alive: KeepAlive(), path: LinkPath())
        worker?.post(.hop(Parcel(try link(over: near)), hop, channel: Parcel(BlockingSocket(adopting: channel))))
        worker = nil
        #expect(try end(of: far) == 0)
        #expect(try end(of: next) == 0)
    }

    @Test func oneThatWasTakenIsTheWorkers() throws {
        let (near, far) = try SocketOption.pair()
        let link = Link(
            try link(over: near), .pool(LinkID(place: 0, serial: 1)), alive: KeepAlive(),
            exchangePatience: .seconds(30), now: Tick.current())
        #expect(link.descriptor == near)
        let stream = BlockingSocket(adopting: far)
        var buffer = [UInt8](repeating: 0, count: 16)
        #expect(throws: IOError.self) {
            try buffer.withUnsafeMutableBytes {
                _ = try stream.receive(into: $0, deadline: Tick.current() + .milliseconds(50))
            }
        }
        SocketOption.close(near)
    }
}
