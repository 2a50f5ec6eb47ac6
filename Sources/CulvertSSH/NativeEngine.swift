/// The native engine: SSH-2 from the version line to the channels, a client. It holds no socket, no clock and no thread.
///
/// How old a key may grow is its owner's to watch: it calls `beginKeyExchange`. So is how long an exchange may take.
public struct NativeEngine: ~Copyable, SSHEngine {
    public static var opensInPlace: Bool { true }

    private var transport: Transport
    private var connection: ConnectionLayer
    /// From the first keys until the login is over.
    private var userAuth: UserAuthClient?
    private let acceptedAlgorithms: [String]

    /// Throws `.unsupported` when the settings name an algorithm that the engine does not have.
    public init(settings: NativeSettings = NativeSettings()) throws(SSHError) {
        try self.init(settings: settings, random: RandomSource())
    }

    /// `random`: the system's, but for tests.
    init(settings: NativeSettings, random: RandomSource) throws(SSHError) {
        let accepted = try AlgorithmList.resolve(.publicKey, settings.publicKeyAlgorithms)
        transport = try Transport(role: .client, settings: settings, random: random)
        connection = ConnectionLayer(role: .client, settings: settings.connection)
        acceptedAlgorithms = accepted
    }

    // MARK: Bytes

    public mutating func receive(_ bytes: UnsafeMutableRawBufferPointer) {
        unsafe transport.input.lend(bytes)
    }

    public mutating func nextEvent() throws(SSHError) -> EngineEvent? {
        do throws(SSHError) {
            while let packet = try transport.input.next() {
                let number = packet.number
                if transport.passesConnection && number >= MessageNumber.globalRequest && number < 128 {
                    if let event = try connection.handle(packet, &transport.packets) { return event }
                } else if let event = try other(packet) {
                    return event
                }
            }
            try transport.keepLimits()
            return resumed()
        } catch {
            transport.fail(error)
            throw error
        }
    }

    @inline(never)
    private mutating func other(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        switch try transport.handle(packet) {
        case .nothing, .secured: return resumed()
        case .connection: return try connection.handle(packet, &transport.packets)
        case .hostKey, .service, .extensions, .authentication:
            preconditionFailure("the table lets none of these pass in the connection protocol")
        }
    }

    /// The end of a key exchange: what was credited meanwhile is granted, and every channel may send again.
    private mutating func resumed() -> EngineEvent? {
        guard transport.takeResume() else { return nil }
        connection.sendOwed(&transport.packets)
        return .allSendable
    }

    public mutating func takeConsumed() -> Int { transport.input.takeConsumed() }

    public var output: UnsafeRawBufferPointer { unsafe transport.packets.unsent }

    public mutating func outputSent(_ count: Int) {
        transport.packets.didSend(count)
        connection.sendOwed(&transport.packets)
        transport.beginIfDue()
    }

    // MARK: Login

    public mutating func advanceLogin(_ authority: some LoginAuthority) throws(SSHError) -> LoginProgress {
        do throws(SSHError) {
            try transport.start(preferred: authority.knownHostKeyAlgorithms())
            while let packet = try transport.next() {
                if try advance(packet, authority) { return .loggedIn }
            }
            return .needsBytes
        } catch {
            transport.fail(error)
            throw error
        }
    }

    /// Returns whether the login is over.
    private mutating func advance(
        _ packet: OpenedPacket, _ authority: some LoginAuthority
    ) throws(SSHError) -> Bool {
        switch try transport.handle(packet) {
        case .nothing, .secured, .service: return false
        case .connection: preconditionFailure("the table lets no message of the connection pass in a login")
        case .hostKey:
            try authority.verify(hostKey: transport.hostKey)
            _ = authority.bindAgent(
                hostKey: transport.hostKey, sessionID: transport.sessionIdentifier,
                signature: transport.hostKeySignature)
            try transport.trustHostKey()
            // One flight for all of it: the server answers in turn.
            transport.send(ServiceMessage.bytes(MessageNumber.serviceRequest, ServiceMessage.userAuth))
            var client = UserAuthClient(
                sessionID: transport.sessionIdentifier, acceptedAlgorithms: acceptedAlgorithms)
            send(try client.begin(authority))
            userAuth = client
            return false
        case .extensions:
            userAuth?.serverSignatureAlgorithms = transport.extensions.signatureAlgorithms
            return false
        case .authentication:
            let message = unsafe UnsafeRawBufferPointer(start: packet.message, count: packet.count)
            switch try unsafe userAuth?.handle(message, authority) {
            case .none: preconditionFailure("user authentication begins with the first keys")
            case .wait: return false
            case .send(let answer):
                send(answer)
                return false
            case .loggedIn:
                userAuth = nil
                transport.enterConnection()
                return true
            }
        }
    }

    private mutating func send(_ message: Secret) {
        unsafe message.withBytes { unsafe transport.packets.send($0) }
    }

    public var summary: String { transport.summary }

    public var keyRenewals: UInt64? { transport.renewals }

    // MARK: Channels

    public mutating func open(_ request: ChannelOpenRequest) throws(SSHError) -> ChannelNumber {
        try connection.open(request, &transport.packets)
    }

    public mutating func openRequest(_ channel: ChannelNumber) -> ChannelOpenRequest {
        connection.openRequest(channel)
    }

    public mutating func accept(_ channel: ChannelNumber) { connection.accept(channel, &transport.packets) }

    public mutating func refuse(_ channel: ChannelNumber, _ reason: OpenFailure, words: String) {
        connection.refuse(channel, reason, words: words, &transport.packets)
    }

    public mutating func takeRefusal(_ channel: ChannelNumber) -> PeerText { connection.takeRefusal(channel) }

    public mutating func sendable(_ channel: ChannelNumber) -> Int {
        connection.sendable(channel, &transport.packets)
    }

    public mutating func reserve(_ channel: ChannelNumber, maximum: Int) -> PayloadSlots {
        connection.reserve(channel, maximum: maximum, &transport.packets)
    }

    public mutating func commit(_ channel: ChannelNumber, count: Int) throws(SSHError) {
        connection.commit(channel, count: count, &transport.packets)
    }

    public mutating func credit(_ channel: ChannelNumber, count: Int) {
        connection.credit(channel, count: count, &transport.packets)
    }

    public mutating func finish(_ channel: ChannelNumber) { connection.finish(channel, &transport.packets) }

    public mutating func close(_ channel: ChannelNumber) { connection.close(channel, &transport.packets) }

    public var channelCount: Int { connection.channels.count }

    public var channelProgress: UInt64 { connection.progress }

    // MARK: Requests of the connection

    public mutating func requestForward(_ request: ForwardRequest) throws(SSHError) -> ForwardNumber {
        try connection.requestForward(request, &transport.packets)
    }

    public mutating func cancelForward(_ forward: ForwardNumber) {
        connection.cancelForward(forward, &transport.packets)
    }

    public func forwardRequest(_ request: PeerForwardNumber) -> PeerForwardRequest {
        connection.peerRequests.request(request)
    }
    public mutating func acceptForward(_ request: PeerForwardNumber, port: UInt16) {
        connection.acceptForward(request, port: port, &transport.packets)
    }
    public mutating func refuseForward(_ request: PeerForwardNumber) {
        connection.refuseForward(request, &transport.packets)
    }

    public mutating func probe() { connection.probe(&transport.packets) }

    public mutating func runTrue() { connection.runTrue(&transport.packets) }

    public mutating func disconnect() { transport.packets.sendLastWord(.byApplication) }

    public mutating func heldBytes() -> Int { 0 }

    public mutating func allowWindows(upTo bytes: Int) { connection.windowLimit = UInt32(clamping: bytes) }

    /// Renews the keys now, for example because they are old; while keys are exchanged it has no effect.
    public mutating func beginKeyExchange() { transport.beginExchange() }

    public var keyExchange: Int? { transport.keyExchange }

    /// Messages that wait, bytes, for tests.
    var deferredBytes: Int { transport.packets.deferredBytes }

    /// Checks what must always hold, for tests.
    func invariants() {
        transport.packets.invariants()
        connection.invariants()
    }
}
