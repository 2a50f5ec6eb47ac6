/// The connection protocol over packets that nothing protects: an engine for tests and measurements, where everything
/// but keys, ciphers and login is what the native engine has. Never put it on a network.
public struct NullCipherEngine: ~Copyable, SSHEngine {
    public static var opensInPlace: Bool { true }

    private var input = PacketInput()
    private var packets = PacketOutput()
    private var connection: ConnectionLayer

    public init(role: ConnectionRole, settings: ConnectionSettings = ConnectionSettings()) {
        connection = ConnectionLayer(role: role, settings: settings)
    }

    // MARK: Bytes

    public mutating func receive(_ bytes: UnsafeMutableRawBufferPointer) {
        unsafe input.lend(bytes)
    }

    public mutating func nextEvent() throws(SSHError) -> EngineEvent? {
        do throws(SSHError) {
            while let packet = try input.next() {
                if let event = try connection.handle(packet, &packets) { return event }
            }
            return nil
        } catch {
            if let reason = DisconnectReason(error.kind) { packets.sendLastWord(reason) }
            throw error
        }
    }

    public mutating func takeConsumed() -> Int { input.takeConsumed() }

    public var output: UnsafeRawBufferPointer { unsafe packets.unsent }

    public mutating func outputSent(_ count: Int) {
        packets.didSend(count)
        connection.sendOwed(&packets)
    }

    // MARK: Login

    /// There is none: both ends are there at once.
    public mutating func advanceLogin(_ authority: some LoginAuthority) throws(SSHError) -> LoginProgress { .loggedIn }

    public var summary: String { "null cipher, no protection" }

    // MARK: Channels

    public mutating func open(_ request: ChannelOpenRequest) throws(SSHError) -> ChannelNumber {
        try connection.open(request, &packets)
    }

    public mutating func openRequest(_ channel: ChannelNumber) -> ChannelOpenRequest {
        connection.openRequest(channel)
    }

    public mutating func accept(_ channel: ChannelNumber) { connection.accept(channel, &packets) }

    public mutating func refuse(_ channel: ChannelNumber, _ reason: OpenFailure, words: String) {
        connection.refuse(channel, reason, words: words, &packets)
    }

    public mutating func takeRefusal(_ channel: ChannelNumber) -> PeerText { connection.takeRefusal(channel) }

    public mutating func sendable(_ channel: ChannelNumber) -> Int { connection.sendable(channel, &packets) }

    public mutating func reserve(_ channel: ChannelNumber, maximum: Int) -> PayloadSlots {
        connection.reserve(channel, maximum: maximum, &packets)
    }

    public mutating func commit(_ channel: ChannelNumber, count: Int) throws(SSHError) {
        connection.commit(channel, count: count, &packets)
    }

    public mutating func credit(_ channel: ChannelNumber, count: Int) {
        connection.credit(channel, count: count, &packets)
    }

    public mutating func finish(_ channel: ChannelNumber) { connection.finish(channel, &packets) }

    public mutating func close(_ channel: ChannelNumber) { connection.close(channel, &packets) }

    public var channelCount: Int { connection.channels.count }

    public var channelProgress: UInt64 { connection.progress }

    // MARK: Requests of the connection

    public mutating func requestForward(_ request: ForwardRequest) throws(SSHError) -> ForwardNumber {
        try connection.requestForward(request, &packets)
    }

    public mutating func cancelForward(_ forward: ForwardNumber) { connection.cancelForward(forward, &packets) }

    public func forwardRequest(_ request: PeerForwardNumber) -> PeerForwardRequest {
        connection.peerRequests.request(request)
    }
    public mutating func acceptForward(_ request: PeerForwardNumber, port: UInt16) {
        connection.acceptForward(request, port: port, &packets)
    }
    public mutating func refuseForward(_ request: PeerForwardNumber) { connection.refuseForward(request, &packets) }

    public mutating func runTrue() { connection.runTrue(&packets) }

    public mutating func probe() { connection.probe(&packets) }

    public mutating func disconnect() { packets.sendLastWord(.byApplication) }

    public mutating func heldBytes() -> Int { 0 }

    public mutating func allowWindows(upTo bytes: Int) { connection.windowLimit = UInt32(clamping: bytes) }

    // MARK: More than every engine has

    /// There are no keys to exchange: a test that needs an exchange which does not end says so here.
    public var keyExchange: Int?

    /// Checks what must always hold, for tests.
    func invariants() {
        packets.invariants()
        connection.invariants()
    }

    var deferredBytes: Int { packets.deferredBytes }
    var highestChannelCount: Int { connection.channels.high }
    var pendingRequestCount: Int { connection.ownRequests.count + connection.peerRequests.count }
}
