/// An engine whose channels and requests are this module's `ConnectionLayer`: it adds where messages come from, and keys
/// where there are any. The calls of `SSHEngine` that are the connection's alone go straight to it, here, once.
///
/// Inlinable, so that an engine's user calls the connection itself: these are calls for each packet, and what is generic
/// in one module is not specialised in another.
public protocol ConnectionEngine: SSHEngine, ~Copyable {
    var connection: ConnectionLayer { get set }
}

extension ConnectionEngine where Self: ~Copyable {
    @inlinable public static var opensInPlace: Bool { true }
    public static var tellsAnswers: Bool { true }

    @inlinable public var output: UnsafeRawBufferPointer {
        mutating get { unsafe connection.unsent }
    }

    @inlinable public mutating func outputSent(_ count: Int) { connection.outputSent(count) }

    // MARK: Channels

    @inlinable public mutating func open(_ request: ChannelOpenRequest) throws(SSHError) -> ChannelNumber {
        try connection.open(request)
    }

    @inlinable public mutating func openRequest(_ channel: ChannelNumber) -> ChannelOpenRequest {
        connection.openRequest(channel)
    }

    @inlinable public mutating func accept(_ channel: ChannelNumber) { connection.accept(channel) }

    @inlinable public mutating func refuse(_ channel: ChannelNumber, _ reason: OpenFailure, words: String) {
        connection.refuse(channel, reason, words: words)
    }

    @inlinable public mutating func takeRefusal(_ channel: ChannelNumber) -> PeerText {
        connection.takeRefusal(channel)
    }

    @inlinable public mutating func takeUnaskedOpen() -> ChannelOpenRequest? { connection.takeUnaskedOpen() }

    @inlinable public mutating func sendable(_ channel: ChannelNumber) -> Int { connection.sendable(channel) }

    @inlinable public mutating func reserve(_ channel: ChannelNumber, maximum: Int) -> PayloadSlots {
        connection.reserve(channel, maximum: maximum)
    }

    @inlinable public mutating func commit(_ channel: ChannelNumber, count: Int) throws(SSHError) {
        connection.commit(channel, count: count)
    }

    @inlinable public mutating func credit(_ channel: ChannelNumber, count: Int) {
        connection.credit(channel, count: count)
    }

    @inlinable public mutating func finish(_ channel: ChannelNumber) { connection.finish(channel) }

    @inlinable public mutating func close(_ channel: ChannelNumber) { connection.close(channel) }

    @inlinable public var channelCount: Int { connection.channelCount }
    @inlinable public var unconfirmedCount: Int { connection.unconfirmedCount }

    @inlinable public var channelProgress: UInt64 { connection.channelProgress }

    // MARK: Requests of the connection

    @inlinable public mutating func requestForward(_ request: ForwardRequest) throws(SSHError) -> ForwardNumber {
        try connection.requestForward(request)
    }

    @inlinable public mutating func cancelForward(_ forward: ForwardNumber) { connection.cancelForward(forward) }

    @inlinable public func forwardRequest(_ request: PeerForwardNumber) -> PeerForwardRequest {
        connection.forwardRequest(request)
    }

    @inlinable public mutating func acceptForward(_ request: PeerForwardNumber, port: UInt16) {
        connection.acceptForward(request, port: port)
    }

    @inlinable public mutating func refuseForward(_ request: PeerForwardNumber) { connection.refuseForward(request) }

    @inlinable public mutating func probe() { connection.probe() }

    @inlinable public mutating func runTrue() { connection.runTrue() }

    @inlinable public mutating func disconnect() { connection.disconnect() }

    /// Payload lies where it was received, and nowhere else.
    @inlinable public mutating func heldBytes() -> Int { 0 }

    @inlinable public mutating func allowWindows(upTo bytes: Int) { connection.allowWindows(upTo: bytes) }
}
