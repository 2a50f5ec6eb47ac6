internal import Glibc

/// The server's side of SOCKS 4, 4a and 5 (RFC 1928, RFC 1929) up to its last answer, as a value: bytes in, what the
/// client asks for and answers out. It holds no socket and no clock.
///
/// Invariant: `wanted` never reaches beyond the request, so that what a client sends behind it stays where it is; and
/// whatever a client says, it has said it within `maximumLength` bytes. Credentials are passed over and not kept:
/// nobody checks them.
struct SocksNegotiation: Sendable {
    /// The longest negotiation: version and 255 methods, a user and a password of 255 bytes, and a name of 255.
    static let maximumLength = (2 + 255) + (3 + 255 + 255) + (5 + 255 + 2)

    enum Step: Hashable, Sendable {
        case needsBytes
        /// Waits for `conclude`.
        case requested(SocksRequest)
        /// The client was told that its target stands: from here on it speaks to that.
        case granted
        /// The client was told that its target cannot be had.
        case refused
        /// The client made a mistake, or asks for what is not served; `answer` says so where there are words for it.
        case failed(SocksFault)
    }

    private enum Phase: Sendable {
        case version
        // SOCKS 5.
        case methodCount, methods
        case userLength, user, password
        case head, address, nameLength, name
        // SOCKS 4.
        case head4, user4, name4
        case over
    }

    private(set) var step = Step.needsBytes
    /// What the client asked for, from then on.
    private(set) var request: SocksRequest?
    private var phase = Phase.version
    private(set) var isVersion4 = false
    /// What has come of the present field.
    private var field: [UInt8] = []
    private var missing = 1
    private var command: UInt8 = 0
    private var addressType: UInt8 = 0
    private var head4: [UInt8] = []
    private var answer: [UInt8] = []

    init() {}

    /// One that another process has led so far: it waits for `conclude`.
    init(requested request: SocksRequest, isVersion4: Bool) {
        step = .requested(request)
        phase = .over
        missing = 0
        self.request = request
        self.isVersion4 = isVersion4
    }

    /// How many bytes it may be given now; 0 once nothing more of the client's is for it.
    var wanted: Int { phase == .over ? 0 : missing }

    /// What is to be sent to the client, once.
    mutating func takeAnswer() -> [UInt8] {
        defer { answer = [] }
        return answer
    }

    /// What could not be sent yet.
    mutating func putBack(_ unsent: [UInt8]) { answer = unsent + answer }

    /// `takeAnswer` would have something.
    var hasAnswer: Bool { !answer.isEmpty }
    /// At most `wanted` bytes of the client's.
    mutating func take(_ bytes: some Collection<UInt8>) {
        precondition(bytes.count <= wanted, "no more is taken than is wanted")
        if phase != .password { field += bytes }
        missing -= bytes.count
        while missing == 0 && phase != .over { advance() }
    }

    /// Tells the client what became of its request (RFC 1928 §6).
    mutating func conclude(_ reply: SocksReply) {
        guard case .requested = step else { preconditionFailure("a request is answered once") }
        say(reply)
        step = reply == .granted ? .granted : .refused
    }

    // MARK: Fields

    /// The present field is whole.
    private mutating func advance() {
        let bytes = field
        field = []
        switch phase {
        case .version: version(bytes[0])
        case .methodCount: expect(.methods, Int(bytes[0]))
        case .methods: chooseMethod(bytes)
        case .userLength:
            // RFC 1929 §2: version 1, then lengths and texts.
            guard bytes[0] == 1 else { return fail(.malformed, saying: [1, 1]) }
            expect(.user, Int(bytes[1]) + 1)
        case .user: expect(.password, Int(bytes[bytes.count - 1]))
        case .password:
            answer += [1, 0]
            expect(.head, 4)
        case .head: head(bytes)
        case .nameLength: expect(.name, Int(bytes[0]) + 2)
        case .address, .name: requested(address: bytes.dropLast(2), port: bytes.suffix(2))
        case .head4:
            head4 = bytes
            expect(.user4, 1)
        case .user4: text4(bytes)
        case .name4: text4(bytes)
        case .over: preconditionFailure("nothing is wanted any more")
        }
    }

    private mutating func expect(_ next: Phase, _ count: Int) {
        phase = next
        missing = count
    }

    private mutating func version(_ version: UInt8) {
        switch version {
        case 4:
            isVersion4 = true
            expect(.head4, 7)
        case 5: expect(.methodCount, 1)
        default: fail(.notSocks(version), saying: [])
        }
    }

    /// RFC 1928 §3: no authentication where it is offered; else a name and a password, of which any will do: who may
    /// connect is decided by where the port is open.
    private mutating func chooseMethod(_ methods: [UInt8]) {
        if methods.contains(0) {
            answer += [5, 0]
            expect(.head, 4)
        } else if methods.contains(2) {
            answer += [5, 2]
            expect(.userLength, 2)
        } else {
            fail(.noMethod, saying: [5, 0xff])
        }
    }

    /// RFC 1928 §4 and §5. The request is read to its end before it is refused.
    private mutating func head(_ bytes: [UInt8]) {
        guard bytes[0] == 5 else { return fail(.malformed, saying: reply(.failure)) }
        command = bytes[1]
        addressType = bytes[3]
        switch addressType {
        case 1: expect(.address, 4 + 2)
        case 3: expect(.nameLength, 1)
        case 4: expect(.address, 16 + 2)
        default: fail(.addressType(addressType), saying: reply(.addressTypeNotSupported))
        }
    }

    /// SOCKS 4's texts end with a zero.
    private mutating func text4(_ bytes: [UInt8]) {
        guard bytes[bytes.count - 1] == 0 else {
            guard bytes.count <= 255 else { return fail(.malformed, saying: reply(.failure)) }
            field = bytes
            missing = 1
            return
        }
        command = head4[0]
        let address = head4[3..<7]
        // SOCKS 4a: 0.0.0.x says that a name follows.
        let isNamed = address.prefix(3) == [0, 0, 0] && address.last != 0
        if phase == .user4, isNamed { return expect(.name4, 1) }
        addressType = phase == .name4 ? 3 : 1
        requested(address: phase == .name4 ? bytes.dropLast() : address, port: head4[1..<3])
    }

    private mutating func requested(address: ArraySlice<UInt8>, port: ArraySlice<UInt8>) {
        guard command == 1 else { return fail(.command(command), saying: reply(.commandNotSupported)) }
        guard let host = addressType == 3 ? Self.name(address) : Self.number(address) else {
            return fail(.name, saying: reply(.failure))
        }
        let port = port.reduce(UInt16(0)) { $0 << 8 | UInt16($1) }
        phase = .over
        let request = SocksRequest(host: host, port: port)
        self.request = request
        step = .requested(request)
    }

    /// nil: nothing that a name can be. Names are for the far end to look up, so little else is asked of them.
    private static func name(_ bytes: ArraySlice<UInt8>) -> String? {
        guard !bytes.isEmpty, bytes.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    /// The text of an IPv4 or IPv6 address.
    private static func number(_ bytes: ArraySlice<UInt8>) -> String? {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = bytes.count == 4 ? AF_INET : AF_INET6
        let length = socklen_t(text.count)
        let isMade = unsafe Array(bytes).withUnsafeBytes {
            unsafe inet_ntop(family, $0.baseAddress!, &text, length) != nil
        }
        return isMade ? String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }

    // MARK: Answers

    private mutating func fail(_ fault: SocksFault, saying words: [UInt8]) {
        answer += words
        phase = .over
        step = .failed(fault)
    }

    private mutating func say(_ reply: SocksReply) { answer += self.reply(reply) }

    /// The address that the far end connects from is not told to us: zeros say that it is not known.
    private func reply(_ reply: SocksReply) -> [UInt8] {
        if isVersion4 { return [0, reply == .granted ? 0x5a : 0x5b, 0, 0, 0, 0, 0, 0] }
        return [5, reply.rawValue, 0, 1, 0, 0, 0, 0, 0, 0]
    }
}
