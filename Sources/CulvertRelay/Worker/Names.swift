internal import CulvertIO
internal import CulvertPlan

/// What a worker calls something that it holds. Each kind has names of its own, with a generation: one that was kept too
/// long names nothing, and never its successor.
struct Name<Kind>: SlabID {
    let slot: Int32
    let generation: UInt32
}

enum NameKind {
    enum Flow {}
    enum Link {}
    enum PlainFlow {}
    enum Delivery {}
    enum Dial {}
    enum Listener {}
    enum Greeting {}
}

/// A flow of a worker: one socket and one channel.
typealias FlowID = Name<NameKind.Flow>
/// A link on its worker.
typealias LinkSlot = Name<NameKind.Link>
/// A connection that `culvert relay` carries.
typealias PlainFlowID = Name<NameKind.PlainFlow>
/// What came whole and waits for its reader.
typealias DeliveryID = Name<NameKind.Delivery>
/// A connection to a target that is being made.
typealias DialID = Name<NameKind.Dial>
/// A listening socket.
typealias ListenerID = Name<NameKind.Listener>
/// A client of `-D` that says where it wants to go.
typealias GreetingID = Name<NameKind.Greeting>

/// One of a tunnel's forwards whose connections come here: `-L`, `-D` and `-W`.
struct DirectID: Hashable, Sendable, BitwiseCopyable {
    /// Among those of the plan.
    let index: Int
}

/// One of a tunnel's forwards whose connections come at the server: `-R`.
struct ReverseID: Hashable, Sendable, BitwiseCopyable {
    /// Among those of the plan.
    let index: Int
}

/// Any of a tunnel's forwards.
enum ForwardID: Hashable, Sendable, BitwiseCopyable {
    case direct(DirectID)
    case reverse(ReverseID)
}

extension [LocalForward] {
    subscript(_ forward: DirectID) -> LocalForward { self[forward.index] }
}

extension [ReverseForward] {
    subscript(_ forward: ReverseID) -> ReverseForward { self[forward.index] }
}

/// What a token's operation means to a worker.
enum Operation: UInt8 {
    case mailbox = 1
    case listener
    case greetingRead
    case flowRead
    case flowWrite
    case linkRead
    case linkWrite
    case clientRead
    case targetRead
    case clientWrite
    case targetWrite
    case dialWrite
    case deliveryRead
    case deliveryWrite
    // Timers.
    case greetingExpiry
    case channelGreetingExpiry
    case dialStep
    case acceptAgain
    case heldExpiry
    case linkCheck
    case linkRest
    case linkAcknowledgement
    case deliveryCheck
    case restCheck
    case sweep
    case drainEnd
}

extension Token {
    init<ID: SlabID>(_ operation: Operation, _ id: ID) { self.init(operation: operation.rawValue, id) }

    /// Of an operation that a worker has once.
    init(_ operation: Operation) { self.init(operation: operation.rawValue, slot: 0, generation: 1) }
}
