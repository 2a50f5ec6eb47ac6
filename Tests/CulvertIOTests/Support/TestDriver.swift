import CulvertIO
import Simulation

/// The drivers that keep the contract: two over the kernel, and the simulation in good and in bad weather.
enum Kind: String, CaseIterable, Sendable {
    case uring
    case epoll
    case simulated
    case simulatedWithFaults

    static var ofKernel: [Kind] { [.uring, .epoll] }
    var isSimulated: Bool { self == .simulated || self == .simulatedWithFaults }
}

/// A driver of any kind behind one class, so that a contract is one plain function. (The product never does this: there
/// a driver is a generic constraint.)
class TestDriver {
    var now: Tick { fatalError() }
    var freeSlots: Int { fatalError() }
    func receive(_ descriptor: Descriptor, _ token: Token) { fatalError() }
    func awaitReadable(_ descriptor: Descriptor, _ token: Token) { fatalError() }
    func awaitWritable(_ descriptor: Descriptor, _ token: Token) { fatalError() }
    func stopReading(_ descriptor: Descriptor) { fatalError() }
    func letGo(_ descriptor: Descriptor) { fatalError() }
    func close(_ descriptor: Descriptor) { fatalError() }
    func turn(until deadline: Tick?) throws { fatalError() }
    func next() -> Completion? { fatalError() }
    func release(_ slot: LentSlot) { fatalError() }
    func send(_ descriptor: Descriptor, _ bytes: UnsafeRawBufferPointer) -> Int { fatalError() }
    func send(_ descriptor: Descriptor, _ ranges: borrowing RangeList) -> Int { fatalError() }
    func receive(
        _ descriptor: Descriptor, into first: UnsafeMutableRawPointer, stride: Int, slotLength: Int, lastLength: Int,
        count: Int
    ) -> Int { fatalError() }
    func accept(_ listener: Descriptor, peer: inout SocketAddress) -> Int { fatalError() }
    func connect(to address: SocketAddress, pending: inout Bool) -> Int { fatalError() }
    func connectionError(_ descriptor: Descriptor) -> Int { fatalError() }
    func shutdownWriting(_ descriptor: Descriptor) { fatalError() }
    func resetOnClose(_ descriptor: Descriptor) { fatalError() }
    func finishOnClose(_ descriptor: Descriptor) { fatalError() }
    func redirectWriting(_ descriptor: Descriptor, _ token: Token) -> Bool { fatalError() }
    func unacknowledged(_ descriptor: Descriptor) -> Int { fatalError() }
    func isReset(_ descriptor: Descriptor) -> Bool { fatalError() }
    func peerHasGone(_ descriptor: Descriptor) -> Bool { fatalError() }
}

final class Boxed<Driver: IODriver & ~Copyable>: TestDriver {
    private var driver: Driver
    init(_ driver: consuming Driver) { self.driver = driver }

    override var now: Tick { driver.now }
    override var freeSlots: Int { driver.freeSlots }
    override func receive(_ descriptor: Descriptor, _ token: Token) { driver.receive(descriptor, token) }
    override func awaitReadable(_ descriptor: Descriptor, _ token: Token) { driver.awaitReadable(descriptor, token) }
    override func awaitWritable(_ descriptor: Descriptor, _ token: Token) { driver.awaitWritable(descriptor, token) }
    override func stopReading(_ descriptor: Descriptor) { driver.stopReading(descriptor) }
    override func letGo(_ descriptor: Descriptor) { driver.letGo(descriptor) }
    override func close(_ descriptor: Descriptor) { driver.close(descriptor) }
    override func turn(until deadline: Tick?) throws { try driver.turn(until: deadline) }
    override func next() -> Completion? { driver.next() }
    override func release(_ slot: LentSlot) { driver.release(slot) }
    override func send(_ descriptor: Descriptor, _ bytes: UnsafeRawBufferPointer) -> Int {
        driver.send(descriptor, bytes.baseAddress!, count: bytes.count)
    }
    override func send(_ descriptor: Descriptor, _ ranges: borrowing RangeList) -> Int {
        driver.send(descriptor, ranges)
    }
    override func receive(
        _ descriptor: Descriptor, into first: UnsafeMutableRawPointer, stride: Int, slotLength: Int, lastLength: Int,
        count: Int
    ) -> Int {
        driver.receive(
            descriptor, into: first, stride: stride, slotLength: slotLength, lastLength: lastLength, count: count)
    }
    override func accept(_ listener: Descriptor, peer: inout SocketAddress) -> Int {
        driver.accept(listener, peer: &peer)
    }
    override func connect(to address: SocketAddress, pending: inout Bool) -> Int {
        driver.connect(to: address, from: nil, pending: &pending)
    }
    override func connectionError(_ descriptor: Descriptor) -> Int { driver.connectionError(descriptor) }
    override func shutdownWriting(_ descriptor: Descriptor) { driver.shutdownWriting(descriptor) }
    override func resetOnClose(_ descriptor: Descriptor) { driver.resetOnClose(descriptor) }
    override func finishOnClose(_ descriptor: Descriptor) { driver.finishOnClose(descriptor) }
    override func redirectWriting(_ descriptor: Descriptor, _ token: Token) -> Bool {
        driver.redirectWriting(descriptor, token)
    }
    override func unacknowledged(_ descriptor: Descriptor) -> Int { driver.unacknowledged(descriptor) }
    override func isReset(_ descriptor: Descriptor) -> Bool { driver.isReset(descriptor) }
    override func peerHasGone(_ descriptor: Descriptor) -> Bool { driver.peerHasGone(descriptor) }
}
