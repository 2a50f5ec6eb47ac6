/// The connection protocol over packets that nothing protects: inside a process, where everything but keys, ciphers and
/// login is what the native engine has. Never put it on a network.
public struct NullCipherEngine: ~Copyable, ConnectionEngine {
    public var connection: ConnectionLayer
    private var input = PacketInput(limit: PacketOpener.maximumPacketLength)

    public init(role: ConnectionRole, settings: ConnectionSettings = ConnectionSettings()) {
        connection = ConnectionLayer(role: role, settings: settings, output: PacketOutput())
    }

    public mutating func receive(_ bytes: UnsafeMutableRawBufferPointer) {
        unsafe input.lend(bytes)
    }

    public mutating func nextEvent() throws(SSHError) -> EngineEvent? {
        do throws(SSHError) {
            while let packet = try input.next() {
                if let event = try connection.handle(packet) { return event }
            }
            return nil
        } catch {
            if let reason = DisconnectReason(error.kind) { connection.output.sendLastWord(reason) }
            throw error
        }
    }

    public mutating func takeConsumed() -> Int { input.takeConsumed() }

    public var summary: String { "null cipher, no protection" }

    /// There are no keys to exchange: a test that needs an exchange which does not end says so here.
    public var keyExchange: Int?
    /// The same of how many the peer began.
    public var keyExchangesOfPeer: UInt64 = 0

    /// Checks what must always hold, for tests.
    func invariants() { connection.invariants() }

    var deferredBytes: Int { connection.output.deferredBytes }
    var storedOutputBytes: Int { connection.output.storedBytes }
    var highestChannelCount: Int { connection.channels.high }
    var pendingRequestCount: Int { connection.ownRequests.count + connection.peerRequests.count }
}
