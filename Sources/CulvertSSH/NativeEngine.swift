/// The native engine: SSH-2 after the login, transport and connection, of a client or a server. It holds no socket, no
/// clock and no thread.
///
/// How old a key may grow is its owner's to watch: it calls `beginKeyExchange`. So is how long an exchange may take.
public struct NativeEngine: ~Copyable, ConnectionEngine {
    public var connection: ConnectionLayer
    private(set) var transport: Transport

    /// What a login has come to: `transport` has entered the connection, `output` may have something to send.
    init(_ transport: consuming Transport, _ output: consuming PacketOutput) {
        precondition(transport.stage == .connection, "a link that has logged in has an engine")
        connection = ConnectionLayer(role: transport.role, settings: transport.settings.connection, output: output)
        self.transport = transport
    }

    /// The connection protocol alone, for a client whose peer is in this process: no login comes before it, and nothing
    /// protects it. Never put it on a network.
    public init(insideProcess settings: ConnectionSettings = ConnectionSettings()) throws(SSHError) {
        var all = NativeSettings()
        all.connection = settings
        var transport = try Transport(role: .client, settings: all)
        transport.enterUnprotected()
        connection = ConnectionLayer(role: .client, settings: settings, output: PacketOutput())
        self.transport = transport
    }

    /// It is about the server's connection, which is another process's there.
    public mutating func runTrue() { if !transport.isUnprotected { connection.runTrue() } }

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
        case .connection:
            let before = connection.excess
            let event = try connection.handle(packet)
            try transport.countTalk(connection.excess - before)
            return event
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

    // MARK: Keys

    public var summary: String { transport.summary }

    public var keyRenewals: UInt64? { transport.renewals }

    /// Renews the keys now, for example because they are old; while keys are exchanged it has no effect.
    public mutating func beginKeyExchange() { transport.beginExchange(&connection.output) }

    public var keyExchange: Int? { transport.keyExchange }

    public var keyExchangesOfPeer: UInt64 { transport.exchangesOfPeer }

    // MARK: The server's host keys

    public mutating func takeOfferedHostKeys() -> [[UInt8]] { connection.hostKeyNews.takeOffered() }

    public mutating func requestHostKeyProof(of keys: [[UInt8]]) { connection.requestHostKeyProof(of: keys) }

    public mutating func takeHostKeyProof() -> HostKeyProof? {
        guard let (keys, signatures) = connection.hostKeyNews.takeAnswer() else { return nil }
        let scheme = transport.algorithms?.hostKey.scheme
        let agreed = scheme.flatMap { $0.keyType == "ssh-rsa" ? $0 : nil }
        return HostKeyProof(
            keys: keys, signatures: signatures, sessionID: transport.sessionIdentifier, agreedRSA: agreed)
    }

    /// Messages that wait, bytes, for tests.
    var deferredBytes: Int { connection.output.deferredBytes }

    /// Memory for what goes out, bytes, for tests.
    var storedOutputBytes: Int { connection.output.storedBytes }

    /// Checks what must always hold, for tests.
    func invariants() { connection.invariants() }
}
