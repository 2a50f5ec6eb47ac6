import Testing

@testable import CulvertSSH

/// The other role as an engine of its own: the same transport and connection as the client's, and a login that lets
/// everybody in.
struct ServerEngine: ~Copyable, SSHEngine {
    static var opensInPlace: Bool { true }

    private var transport: Transport
    private var connection: ConnectionLayer

    init(_ settings: NativeSettings, _ key: TestHostKey = TestHostKey()) throws(SSHError) {
        var transport = try Transport(role: .server, settings: settings, signer: key.signer)
        try transport.start(preferred: [])
        self.transport = transport
        connection = ConnectionLayer(role: .server, settings: settings.connection)
    }

    mutating func receive(_ bytes: UnsafeMutableRawBufferPointer) { transport.input.lend(bytes) }
    mutating func takeConsumed() -> Int { transport.input.takeConsumed() }

    mutating func nextEvent() throws(SSHError) -> EngineEvent? {
        do throws(SSHError) {
            while let packet = try transport.next() {
                switch try transport.handle(packet) {
                case .nothing, .secured: break
                case .service: transport.send(ServiceMessage.bytes(6, ServiceMessage.userAuth))
                case .authentication:
                    transport.send([52])
                    transport.enterConnection()
                case .connection:
                    if let event = try connection.handle(packet, &transport.packets) { return event }
                case .hostKey, .extensions: Issue.record("a server is told nothing of this kind")
                }
                if let event = resumed() { return event }
            }
            try transport.keepLimits()
            return resumed()
        } catch {
            transport.fail(error)
            throw error
        }
    }

    private mutating func resumed() -> EngineEvent? {
        guard transport.takeResume() else { return nil }
        connection.sendOwed(&transport.packets)
        return .allSendable
    }

    var output: UnsafeRawBufferPointer { transport.packets.unsent }

    mutating func outputSent(_ count: Int) {
        transport.packets.didSend(count)
        connection.sendOwed(&transport.packets)
        transport.beginIfDue()
    }

    mutating func advanceLogin(_ authority: some LoginAuthority) throws(SSHError) -> LoginProgress { .loggedIn }
    var summary: String { transport.summary }
    var keyExchange: Int? { transport.keyExchange }
    mutating func beginKeyExchange() { transport.beginExchange() }

    mutating func open(_ request: ChannelOpenRequest) throws(SSHError) -> ChannelNumber {
        try connection.open(request, &transport.packets)
    }
    mutating func openRequest(_ channel: ChannelNumber) -> ChannelOpenRequest { connection.openRequest(channel) }
    mutating func accept(_ channel: ChannelNumber) { connection.accept(channel, &transport.packets) }
    mutating func refuse(_ channel: ChannelNumber, _ reason: OpenFailure, words: String) {
        connection.refuse(channel, reason, words: words, &transport.packets)
    }
    mutating func takeRefusal(_ channel: ChannelNumber) -> PeerText { connection.takeRefusal(channel) }
    mutating func sendable(_ channel: ChannelNumber) -> Int { connection.sendable(channel, &transport.packets) }
    mutating func reserve(_ channel: ChannelNumber, maximum: Int) -> PayloadSlots {
        connection.reserve(channel, maximum: maximum, &transport.packets)
    }
    mutating func commit(_ channel: ChannelNumber, count: Int) throws(SSHError) {
        connection.commit(channel, count: count, &transport.packets)
    }
    mutating func credit(_ channel: ChannelNumber, count: Int) {
        connection.credit(channel, count: count, &transport.packets)
    }
    mutating func finish(_ channel: ChannelNumber) { connection.finish(channel, &transport.packets) }
    mutating func close(_ channel: ChannelNumber) { connection.close(channel, &transport.packets) }
    mutating func requestForward(_ request: ForwardRequest) throws(SSHError) -> ForwardNumber {
        try connection.requestForward(request, &transport.packets)
    }
    mutating func cancelForward(_ forward: ForwardNumber) { connection.cancelForward(forward, &transport.packets) }
    mutating func probe() { connection.probe(&transport.packets) }
    mutating func disconnect() { transport.packets.sendLastWord(.byApplication) }
    mutating func heldBytes() -> Int { 0 }

    /// Messages that wait for room, bytes, and channels that are not over.
    var waiting: Int { transport.packets.deferredBytes }
    var channelCount: Int { connection.channels.count }
    var channelProgress: UInt64 { connection.progress }

    func invariants() {
        transport.packets.invariants()
        connection.invariants()
    }
}
