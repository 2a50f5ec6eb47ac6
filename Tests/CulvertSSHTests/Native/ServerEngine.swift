import Testing

@testable import CulvertSSH

/// The other role as an engine of its own: the same transport and connection as the client's, and a login that lets
/// everybody in.
struct ServerEngine: ~Copyable, SSHEngine {
    static var opensInPlace: Bool { true }

    private var transport: Transport
    private var connection: ConnectionLayer

    init(_ settings: NativeSettings, _ key: TestHostKey = TestHostKey()) throws(SSHError) {
        var random = RandomSource()
        var output = PacketOutput.held(&random)
        var transport = try Transport(role: .server, settings: settings, signer: key.signer)
        try transport.start(preferred: [], &output)
        self.transport = transport
        connection = ConnectionLayer(role: .server, settings: settings.connection, output: output)
    }

    mutating func receive(_ bytes: UnsafeMutableRawBufferPointer) { transport.input.lend(bytes) }
    mutating func takeConsumed() -> Int { transport.input.takeConsumed() }

    mutating func nextEvent() throws(SSHError) -> EngineEvent? {
        do throws(SSHError) {
            while let packet = try transport.next() {
                switch try transport.handle(packet, &connection.output) {
                case .nothing, .secured: break
                case .service: connection.output.send(ServiceMessage.bytes(6, ServiceMessage.userAuth))
                case .authentication:
                    connection.output.send([52])
                    transport.enterConnection()
                case .connection:
                    if let event = try connection.handle(packet) { return event }
                case .hostKey, .extensions: Issue.record("a server is told nothing of this kind")
                }
                if let event = resumed() { return event }
            }
            try transport.keepLimits(&connection.output)
            return resumed()
        } catch {
            transport.fail(error, &connection.output)
            throw error
        }
    }

    private mutating func resumed() -> EngineEvent? {
        guard transport.takeResume(connection.output) else { return nil }
        connection.sendOwed()
        return .allSendable
    }

    var output: UnsafeRawBufferPointer { connection.output.unsent }

    mutating func outputSent(_ count: Int) {
        connection.output.didSend(count)
        connection.sendOwed()
        transport.beginIfDue(&connection.output)
    }

    mutating func advanceLogin(_ authority: some LoginAuthority) throws(SSHError) -> LoginProgress { .loggedIn }
    var summary: String { transport.summary }
    var keyExchange: Int? { transport.keyExchange }
    mutating func beginKeyExchange() { transport.beginExchange(&connection.output) }

    mutating func open(_ request: ChannelOpenRequest) throws(SSHError) -> ChannelNumber {
        try connection.open(request)
    }
    mutating func openRequest(_ channel: ChannelNumber) -> ChannelOpenRequest { connection.openRequest(channel) }
    mutating func accept(_ channel: ChannelNumber) { connection.accept(channel) }
    mutating func refuse(_ channel: ChannelNumber, _ reason: OpenFailure, words: String) {
        connection.refuse(channel, reason, words: words)
    }
    mutating func takeRefusal(_ channel: ChannelNumber) -> PeerText { connection.takeRefusal(channel) }
    mutating func sendable(_ channel: ChannelNumber) -> Int { connection.sendable(channel) }
    mutating func reserve(_ channel: ChannelNumber, maximum: Int) -> PayloadSlots {
        connection.reserve(channel, maximum: maximum)
    }
    mutating func commit(_ channel: ChannelNumber, count: Int) throws(SSHError) {
        connection.commit(channel, count: count)
    }
    mutating func credit(_ channel: ChannelNumber, count: Int) {
        connection.credit(channel, count: count)
    }
    mutating func finish(_ channel: ChannelNumber) { connection.finish(channel) }
    mutating func close(_ channel: ChannelNumber) { connection.close(channel) }
    mutating func requestForward(_ request: ForwardRequest) throws(SSHError) -> ForwardNumber {
        try connection.requestForward(request)
    }
    mutating func cancelForward(_ forward: ForwardNumber) { connection.cancelForward(forward) }
    mutating func probe() { connection.probe() }
    mutating func disconnect() { connection.output.sendLastWord(.byApplication) }
    mutating func heldBytes() -> Int { 0 }

    /// Messages that wait for room, bytes, and channels that are not over.
    var waiting: Int { connection.output.deferredBytes }
    var channelCount: Int { connection.channels.count }
    var unconfirmedCount: Int { connection.unconfirmedCount }
    var channelProgress: UInt64 { connection.progress }

    func invariants() {
        connection.output.invariants()
        connection.invariants()
    }
}
