/// The transport protocol (RFC 4253), for either end: versions, packets, key exchanges, and the messages 1 to 49. It
/// opens, keeps to the table of `MessageGate`, and hands on what belongs to user authentication and to the connection.
/// The steps of a key exchange are in Transport+Exchange.swift. What goes out is the login's, then the connection's: the
/// transport is lent it, and gives it the keys.
///
/// Errors end the link. Whoever drives it then says the last word with `fail`.
struct Transport: ~Copyable {
    /// What has come with a message of the transport, for whoever drives it.
    enum Step: BitwiseCopyable {
        case nothing
        /// Client: the server proved that it holds `hostKey`. Nothing goes on until `trustHostKey`.
        case hostKey
        /// The first keys are in use, in both directions.
        case secured
        /// Client: SSH_MSG_SERVICE_ACCEPT; server: SSH_MSG_SERVICE_REQUEST, to be answered.
        case service
        /// The peer told what it can do: `extensions`.
        case extensions
        /// Not for the transport.
        case authentication
        case connection
    }

    let role: ConnectionRole
    let settings: NativeSettings
    var input = PacketInput()

    // MARK: Hot: looked at with each packet

    /// Messages 80 to 127 go to the connection without a look at the table: no keys are exchanged.
    private(set) var passesConnection = false

    // MARK: State of the exchange

    var peerExchange = MessageGate.Exchange.beforeFirst { didSet { update() } }
    private(set) var stage = MessageGate.Stage.service { didSet { update() } }
    var phase = ExchangePhase.idle { didSet { update() } }
    var exchange = ExchangeState()
    /// From the first exchange on.
    var algorithms: NegotiatedAlgorithms?
    var isStrict = false
    var offer: Offer
    /// The key of what the peer sends behind its SSH_MSG_NEWKEYS.
    var nextOpeningKey: PacketKey?
    let signer: HostKeySigner?
    var random: RandomSource

    // MARK: What the first exchange settled

    /// H of the first exchange (RFC 4253 §7.2); empty before.
    var sessionIdentifier: [UInt8] = []
    /// The server's key, and its signature over the session identifier.
    var hostKey: [UInt8] = []
    var hostKeySignature: [UInt8] = []

    // MARK: The rest

    private(set) var isStarted = false
    private var versions = VersionLine()
    /// Empty until it has come.
    private(set) var peerVersion: [UInt8] = []
    private(set) var extensions = ExtensionInfo()
    private var extensionMessages = 0
    /// Channels may be told that they have room again.
    private var owesResume = false
    /// Key exchanges that have ended.
    private var exchanges = 0
    /// Those that the peer began, after the first one.
    var exchangesOfPeer: UInt64 = 0
    /// What the peer has said in this login, or in this key exchange after it, bytes.
    private var talk = 0

    /// What a peer may say in a login, or in one key exchange after it, bytes; a packet counts for `packetCost` bytes more
    /// than its message. Payload does not count: the windows bound it, since nothing is granted meanwhile. The rest is a
    /// few messages, or, when many channels end in that moment, a window, an EOF and a CLOSE for each of them: for the 32 Ki
    /// channels that there may be, 4.3 MiB.
    static let maximumTalk = 8 << 20
    static let packetCost = 40

    /// Longest data of SSH2_MSG_PING that is sent back, bytes; OpenSSH's own have none.
    static let maximumPing = 1024

    /// Throws when the settings name what the engine does not have. `signer`: a server has one.
    init(
        role: ConnectionRole, settings: NativeSettings, signer: HostKeySigner? = nil,
        random: RandomSource = RandomSource()
    ) throws(SSHError) {
        precondition((role == .server) == (signer != nil), "a server has a host key, a client has none")
        self.role = role
        self.settings = settings
        self.signer = signer
        offer = try Offer(settings, preferred: [], signer: signer)
        self.random = random
    }

    private mutating func update() { passesConnection = stage == .connection && !isExchanging }

    /// There are no keys, and never will be: the peer is in this process.
    private(set) var isUnprotected = false

    /// The connection protocol speaks at once.
    mutating func enterUnprotected() {
        precondition(!isStarted, "nothing was said before")
        isUnprotected = true
        input = PacketInput(limit: PacketOpener.maximumPacketLength)
        stage = .connection
        peerExchange = .idle
    }

    /// Keys are exchanged, by either end.
    private var isExchanging: Bool { phase != .idle || peerExchange != .idle }

    // MARK: Beginning

    /// Sends the version and, right behind it, SSH_MSG_KEXINIT. Further calls have no effect. `preferred`: names or types
    /// of the host keys that are known.
    mutating func start(preferred: [String], _ output: inout PacketOutput) throws(SSHError) {
        guard !isStarted else { return }
        isStarted = true
        offer = try Offer(settings, preferred: preferred, signer: signer)
        output.sendVersion(Array((VersionLine.own + "\r\n").utf8))
        if role == .server || !offer.waitsForPeer { sendInit(&output) }
    }

    /// The next packet; the peer's version is read on the way. Nil when it is not there in full.
    mutating func next() throws(SSHError) -> OpenedPacket? {
        while peerVersion.isEmpty {
            switch unsafe try versions.read(input.rest, role: role) {
            case .incomplete: return nil
            case .greeting(let length): input.skip(length)
            case .version(let line, let length):
                peerVersion = line
                input.skip(length)
            }
        }
        return try input.next()
    }

    // MARK: Messages

    /// What becomes of a message.
    mutating func handle(_ packet: OpenedPacket, _ output: inout PacketOutput) throws(SSHError) -> Step {
        if !passesConnection { try countTalk(packet) }
        switch MessageGate.verdict(packet.number, role: role, exchange: peerExchange, stage: stage) {
        case .transport: return try own(packet, &output)
        case .authentication: return .authentication
        case .connection: return .connection
        case .ignored: return .nothing
        case .refused:
            throw .violation("message \(packet.number) has no place \(place)")
        case .unimplemented:
            var message = output.message()
            UnimplementedMessage.write(sequenceNumber: packet.sequenceNumber, to: &message)
            try output.reply(message)
            return .nothing
        }
    }

    private mutating func countTalk(_ packet: OpenedPacket) throws(SSHError) {
        guard
            stage == .connection || packet.count <= PacketOpener.maximumClearLength
                || packet.number == UserAuthNumber.banner
        else { throw .violation("message \(packet.number) has \(packet.count) bytes in the login") }
        if ChannelData.spendsWindow(packet) { return }
        try countTalk(packet.count + Self.packetCost)
    }

    /// What no window bounds.
    mutating func countTalk(_ bytes: Int) throws(SSHError) {
        talk += bytes
        guard talk <= Self.maximumTalk else {
            throw .violation("it talks on and on \(isExchanging ? "in a key exchange" : "in the login")")
        }
    }

    /// The number of the key exchange that is under way, nil when none is. A new one has another number.
    var keyExchange: Int? { isExchanging ? exchanges : nil }
    /// Key exchanges that have ended after the first one.
    var renewals: UInt64 { UInt64(max(0, exchanges - 1)) }

    /// A key exchange is over, in both directions.
    mutating func endExchange() {
        phase = .idle
        exchange = ExchangeState()
        peerExchange = .idle
        exchanges += 1
        if stage == .connection { talk = 0 }
    }

    private var place: String {
        switch peerExchange {
        case .beforeFirst: "before the first key exchange"
        case .first, .firstStrict, .later: "in a key exchange"
        case .idle:
            switch stage {
            case .service: "before the login"
            case .authentication: "in the login"
            case .connection: "in the connection protocol"
            }
        }
    }

    private mutating func own(_ packet: OpenedPacket, _ output: inout PacketOutput) throws(SSHError) -> Step {
        switch packet.number {
        case MessageNumber.disconnect:
            throw DisconnectMessage.error(packet.reader("SSH_MSG_DISCONNECT"), from: role.other)
        case MessageNumber.keyExchangeInit: try receiveInit(packet, &output)
        case 30...49: return try receivePart(packet, &output)
        case MessageNumber.newKeys: return try receiveNewKeys(packet)
        case MessageNumber.serviceRequest, MessageNumber.serviceAccept:
            try ServiceMessage.check(packet.reader("SSH_MSG_SERVICE_REQUEST"), ServiceMessage.userAuth)
            stage = .authentication
            return .service
        case MessageNumber.extInfo:
            extensionMessages += 1
            // RFC 8308 §2.4: a client once, a server twice.
            guard extensionMessages <= (role == .client ? 2 : 1) else {
                throw .violation("SSH_MSG_EXT_INFO comes more often than it may")
            }
            let before = extensions
            extensions = try ExtensionInfo(packet.reader("SSH_MSG_EXT_INFO"))
            // The second one of OpenSSH's server repeats the signatures' names alone, and means to take nothing back.
            extensions.takesHostBound = extensions.takesHostBound || before.takesHostBound
            return .extensions
        case MessageNumber.ping: try answerPing(packet, &output)
        default: preconditionFailure("the table sends only these to the transport")
        }
        return .nothing
    }

    /// OpenSSH's PROTOCOL §1.8. Nothing is answered later: a queue of answers is how CVE-2025-26466 began.
    private mutating func answerPing(_ packet: OpenedPacket, _ output: inout PacketOutput) throws(SSHError) {
        var reader = packet.reader("SSH2_MSG_PING")
        let data = unsafe try reader.string()
        try reader.end()
        guard data.count <= Self.maximumPing, output.passesMessages else { return }
        var message = output.message()
        message.byte(MessageNumber.pong)
        unsafe message.string(data)
        try output.reply(message)
    }

    // MARK: The login's course

    /// User authentication is over: the connection protocol speaks.
    mutating func enterConnection() {
        precondition(stage == .authentication, "the connection follows the login")
        stage = .connection
        talk = 0
    }

    // MARK: Limits

    /// Begins a key exchange when one is due; throws when it is long overdue. Called when what was lent is used up, and
    /// when something has been sent.
    mutating func keepLimits(_ output: inout PacketOutput) throws(SSHError) {
        guard stage == .connection, !isUnprotected else { return }
        let limits = settings.rekeyLimits
        guard !limits.isOver(input.use) && !limits.isOver(output.use) else {
            throw .exchange("the peer did not renew the keys in time")
        }
        beginIfDue(&output)
    }

    mutating func beginIfDue(_ output: inout PacketOutput) {
        let limits = settings.rekeyLimits
        guard stage == .connection, phase == .idle, peerExchange == .idle, !isUnprotected,
            limits.isDue(input.use) || limits.isDue(output.use)
        else { return }
        sendInit(&output)
    }

    /// Begins a key exchange now, unless one is under way or the login is not over.
    mutating func beginExchange(_ output: inout PacketOutput) {
        guard stage == .connection, phase == .idle, peerExchange == .idle, !isUnprotected else { return }
        sendInit(&output)
    }

    /// True once after each exchange in which messages of the connection were held.
    mutating func takeResume(_ output: borrowing PacketOutput) -> Bool {
        guard owesResume && !output.isHeld else { return false }
        owesResume = false
        return true
    }

    mutating func oweResume() {
        if stage == .connection { owesResume = true }
    }

    // MARK: The end

    /// Engine and negotiated algorithms, for a person; the ciphers of both directions where they differ.
    var summary: String {
        guard let algorithms else { return "culvert" }
        var words = [
            "culvert", algorithms.method.rawValue, algorithms.hostKey.name, algorithms.clientToServer.words,
        ]
        if algorithms.serverToClient != algorithms.clientToServer {
            words[3] += " out"
            words.append(algorithms.serverToClient.words + " in")
        }
        return words.joined(separator: ", ")
    }

    /// Tells the peer why, as far as it is to know.
    func fail(_ error: SSHError, _ output: inout PacketOutput) {
        if let reason = DisconnectReason(error.kind) { output.sendLastWord(reason) }
    }
}
