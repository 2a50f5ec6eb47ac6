/// The native engine: SSH-2 from the version line to the channels, a client. It holds no socket, no clock and no thread.
///
/// How old a key may grow is its owner's to watch: it calls `beginKeyExchange`. So is how long an exchange may take.
public struct NativeEngine: ~Copyable, ConnectionEngine {
    public var connection: ConnectionLayer
    private var transport: Transport
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
        var random = random
        let output = PacketOutput.held(&random)
        transport = try Transport(role: .client, settings: settings, random: random)
        connection = ConnectionLayer(role: .client, settings: settings.connection, output: output)
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
                    if let event = try connection.handle(packet) { return event }
                } else if let event = try other(packet) {
                    return event
                }
            }
            try transport.keepLimits(&connection.output)
            return resumed()
        } catch {
            transport.fail(error, &connection.output)
            throw error
        }
    }

    @inline(never)
    private mutating func other(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        switch try transport.handle(packet, &connection.output) {
        case .nothing, .secured: return resumed()
        case .connection: return try connection.handle(packet)
        case .hostKey, .service, .extensions, .authentication:
            preconditionFailure("the table lets none of these pass in the connection protocol")
        }
    }

    /// The end of a key exchange: what was credited meanwhile is granted, and every channel may send again.
    private mutating func resumed() -> EngineEvent? {
        guard transport.takeResume(connection.output) else { return nil }
        connection.sendOwed()
        return .allSendable
    }

    public mutating func takeConsumed() -> Int { transport.input.takeConsumed() }

    public mutating func outputSent(_ count: Int) {
        connection.outputSent(count)
        transport.beginIfDue(&connection.output)
    }

    // MARK: Login

    public mutating func advanceLogin(_ authority: some LoginAuthority) throws(SSHError) -> LoginProgress {
        do throws(SSHError) {
            try transport.start(preferred: authority.knownHostKeyAlgorithms(), &connection.output)
            while let packet = try transport.next() {
                if try advance(packet, authority) { return .loggedIn }
            }
            return .needsBytes
        } catch {
            transport.fail(error, &connection.output)
            throw error
        }
    }

    /// Returns whether the login is over.
    private mutating func advance(
        _ packet: OpenedPacket, _ authority: some LoginAuthority
    ) throws(SSHError) -> Bool {
        switch try transport.handle(packet, &connection.output) {
        case .nothing, .secured, .service: return false
        case .connection: preconditionFailure("the table lets no message of the connection pass in a login")
        case .hostKey:
            try authority.verify(hostKey: transport.hostKey)
            _ = authority.bindAgent(
                hostKey: transport.hostKey, sessionID: transport.sessionIdentifier,
                signature: transport.hostKeySignature)
            try transport.trustHostKey(&connection.output)
            // One flight for all of it: the server answers in turn.
            connection.output.send(ServiceMessage.bytes(MessageNumber.serviceRequest, ServiceMessage.userAuth))
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
        unsafe message.withBytes { unsafe connection.output.send($0) }
    }

    public var summary: String { transport.summary }

    public var keyRenewals: UInt64? { transport.renewals }

    // MARK: Keys

    /// Renews the keys now, for example because they are old; while keys are exchanged it has no effect.
    public mutating func beginKeyExchange() { transport.beginExchange(&connection.output) }

    public var keyExchange: Int? { transport.keyExchange }

    /// Messages that wait, bytes, for tests.
    var deferredBytes: Int { connection.output.deferredBytes }

    /// Checks what must always hold, for tests.
    func invariants() { connection.invariants() }
}
