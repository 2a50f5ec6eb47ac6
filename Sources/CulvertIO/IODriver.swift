internal import Glibc

/// What a worker's thread waits on: operations go in, completions come out. Completion-shaped over io_uring, epoll and
/// the tests' simulation alike. Used as a generic constraint only.
///
/// Invariant: at most one reading operation (`receive` or `awaitReadable`) and one writing operation
/// (`awaitWritable`) is under way on a descriptor, and each completes at most once. After `close` none of them
/// completes. One thread makes, uses and ends a driver.
///
/// One turn of a worker:
/// ```
/// driver.turn(until: deadline)
/// while let completion = driver.next() { handle(completion) }   // gives every lent slot back, now or later
/// ```
public protocol IODriver: ~Copyable {
    static var kind: DriverKind { get }

    /// The clock as it stood at the last turn.
    var now: Tick { get }

    // MARK: Operations

    /// Waits for bytes and takes them into a slot that is lent to the completion: `result` bytes, 0 at the end of the
    /// stream, or -errno. An idle socket holds no slot.
    mutating func receive(_ descriptor: Descriptor, _ token: Token)

    /// Waits until a read would not wait (bytes, end or error). `result` is 0.
    mutating func awaitReadable(_ descriptor: Descriptor, _ token: Token)

    /// Waits until a write would not wait, or until a connection is made or has failed. `result` is 0.
    mutating func awaitWritable(_ descriptor: Descriptor, _ token: Token)

    /// Takes back what `receive` or `awaitReadable` asked for, if it has not completed. No byte is lost by it: what a
    /// receive took meanwhile comes with the next read.
    mutating func stopReading(_ descriptor: Descriptor)

    /// A writing operation that is under way completes with this token from now on: another owner has the descriptor.
    /// False when none is under way.
    mutating func redirectWriting(_ descriptor: Descriptor, _ token: Token) -> Bool

    /// Forgets the descriptor, on which nothing is under way, without closing it: another driver may have it.
    mutating func letGo(_ descriptor: Descriptor)

    /// Ends every operation on the descriptor and closes it. Operations under way may hold the socket open until the
    /// next turn: a listener's port is free only then.
    mutating func close(_ descriptor: Descriptor)

    // MARK: Turns

    /// Submits what was asked for and waits for the first completion, at most until `deadline` (nil: for ever; past:
    /// not at all).
    mutating func turn(until deadline: Tick?) throws(IOError)

    /// The next completion of this turn.
    mutating func next() -> Completion?

    /// Gives a lent slot back.
    mutating func release(_ slot: LentSlot)

    /// Large slots that could be lent now.
    var freeSlots: Int { get }

    /// Whether this slot may be kept beyond its completion. Where not, what is in it moves into memory of its owner,
    /// or readers starve for slots.
    func mayKeep(_ slot: LentSlot) -> Bool

    // MARK: Calls that never wait

    /// Bytes the kernel took, or -errno (-EAGAIN: none now).
    mutating func send(_ descriptor: Descriptor, _ start: UnsafeRawPointer, count: Int) -> Int
    mutating func send(_ descriptor: Descriptor, _ ranges: borrowing RangeList) -> Int

    /// Bytes read into `count` slots at a fixed stride, in order; 0 at the end of the stream; or -errno.
    mutating func receive(
        _ descriptor: Descriptor, into first: UnsafeMutableRawPointer, stride: Int, slotLength: Int, lastLength: Int,
        count: Int
    ) -> Int

    /// A new connection's descriptor, or -errno.
    mutating func accept(_ listener: Descriptor, peer: inout SocketAddress) -> Int

    /// A connection that is made (`pending` false) or under way (then `awaitWritable` and `connectionError`), or -errno.
    mutating func connect(to address: SocketAddress, from source: SocketAddress?, pending: inout Bool) -> Int
    mutating func connectionError(_ descriptor: Descriptor) -> Int

    /// Ends the sending direction: the peer reads to the end.
    mutating func shutdownWriting(_ descriptor: Descriptor)

    /// Makes the coming `close` a reset, and so does the end of this process: the peer learns that the stream was cut, not
    /// ended. What a listener carries, its connections have from the beginning.
    mutating func resetOnClose(_ descriptor: Descriptor)

    /// Takes `resetOnClose` back: everything was handed to the kernel, which delivers it after `close`.
    mutating func finishOnClose(_ descriptor: Descriptor)

    /// Bytes, and the end behind them, that were sent and that the peer's kernel has not acknowledged (at a Unix socket:
    /// that the peer has not read); 0 for what is no socket.
    mutating func unacknowledged(_ descriptor: Descriptor) -> Int

    /// The connection was reset or has failed, whether or not anybody reads it. One that has merely ended is not.
    mutating func isReset(_ descriptor: Descriptor) -> Bool

    /// The peer has ended its direction or has reset, whatever it had sent before. At a Unix socket, where a program that
    /// has said all may still wait for the answer, only one that has closed has gone.
    mutating func peerHasGone(_ descriptor: Descriptor) -> Bool
}

/// A descriptor number. Ownership is by agreement: whoever holds it in a slab closes it through the driver.
public typealias Descriptor = Int32

/// How a worker talks to the kernel.
public enum DriverKind: String, Sendable, CaseIterable {
    case uring
    case epoll

    /// The kind that was asked for; of none in particular (nil) io_uring where it can be had, and epoll otherwise, when
    /// `lacks` is told why. Throws when io_uring was asked for and cannot be had.
    public static func choose(_ asked: DriverKind?, lacks: (IOError) -> Void = { _ in }) throws(IOError) -> DriverKind {
        guard asked != .epoll else { return .epoll }
        do throws(IOError) {
            // Made, tried and ended on this thread: what it needs is there.
            var driver = try UringDriver(descriptorLimit: 64)
            try driver.prove()
            return .uring
        } catch {
            guard asked == nil else { throw error }
            lacks(error)
            return .epoll
        }
    }
}

/// One operation that ended.
@safe public struct Completion: BitwiseCopyable {
    public let token: Token
    /// Bytes or 0, or -errno.
    public let result: Int
    /// Where the bytes of a `receive` lie; `LentSlot.none` otherwise.
    public let slot: LentSlot

    public init(token: Token, result: Int, slot: LentSlot = .none) {
        self.token = token
        self.result = result
        self.slot = slot
    }
}

/// Memory of the driver's that is lent to one completion and given back by `release`.
@safe public struct LentSlot: BitwiseCopyable {
    public let number: Int32
    public let start: UnsafeRawPointer?

    public init(number: Int32, start: UnsafeRawPointer?) {
        self.number = number
        unsafe self.start = start
    }

    /// What a large slot takes: a read of this length was full.
    public static var largeLength: Int { SlotPool.slotLength }

    public static var none: LentSlot { unsafe LentSlot(number: -1, start: nil) }
    public var isNone: Bool { number < 0 }
}

/// Large slots that are left free for reading, whatever is kept.
public let reservedSlots = 2

extension IODriver where Self: ~Copyable {
    public func mayKeep(_ slot: LentSlot) -> Bool { freeSlots >= reservedSlots }
}

/// A call to the kernel that failed where it should not: the number, and what was being done.
public struct IOError: Error, Sendable, Hashable, CustomStringConvertible {
    public let number: Int32
    public let action: StaticText

    public init(_ number: Int32, _ action: StaticString) {
        self.number = number
        self.action = StaticText(action)
    }

    public var description: String { "\(action): \(errorText(number))" }

    /// A path is longer than a socket's may be.
    public static let nameTooLong = IOError(ENAMETOOLONG, "bind")
    /// What is no address of this machine's.
    public static let noAddress = IOError(EADDRNOTAVAIL, "bind")
    /// Nothing listens at a Unix socket's path, or nothing is there.
    public var isNobodyThere: Bool { number == ECONNREFUSED || number == ENOENT }
    /// It is another user's.
    public var isForbidden: Bool { number == EACCES || number == EPERM }
    /// What was to be made has the name or the place of something that is there (EADDRINUSE).
    public var isInUse: Bool { number == EADDRINUSE }
}

/// A literal, kept as such: an error made on a hot path allocates nothing.
public struct StaticText: Sendable, Hashable, CustomStringConvertible {
    private let text: StaticString
    init(_ text: StaticString) { self.text = text }
    public var description: String { text.description }
    public static func == (left: StaticText, right: StaticText) -> Bool { left.description == right.description }
    public func hash(into hasher: inout Hasher) { hasher.combine(description) }
}
