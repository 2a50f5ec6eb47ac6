/// What a server says of its host keys after the login (OpenSSH's PROTOCOL §2.5, draft-miller-sshm-hostkey-update), and our
/// question for a proof. Nothing of it is believed here.
///
/// The server may say it at any time and as often as it likes: some offers count in a connection's life, each of a bounded
/// size, and one question at a time waits for its answer.
struct HostKeyNews {
    /// Keys in one offer. A server has one for each algorithm.
    static let maximumKeys = 32
    /// Bytes of them all: a request for their proof fits in a packet that every peer takes (RFC 4253 §6.1).
    static let maximumBytes = 24 * 1024
    /// Offers in a connection's life. sshd makes one.
    static let maximumOffers = 8

    private var offers = 0
    private var offered: [[UInt8]] = []
    /// Those that a proof was asked for; empty: no question waits.
    private var asked: [[UInt8]] = []
    private var answer: (keys: [[UInt8]], signatures: [[UInt8]])?

    /// nil: malformed, or more than any server has. Neither ends a connection: nothing depends on it.
    static func read(_ reader: inout WireReader) -> [[UInt8]]? {
        readAll(&reader, bytes: maximumBytes)
    }

    /// nil: malformed, or no signatures of so many keys.
    static func readSignatures(_ reader: consuming WireReader) -> [[UInt8]]? {
        var reader = reader
        // Those of RSA keys of 16384 bits.
        return readAll(&reader, bytes: maximumKeys * 2 * 1024)
    }

    private static func readAll(_ reader: inout WireReader, bytes: Int) -> [[UInt8]]? {
        var all: [[UInt8]] = []
        var total = 0
        while reader.remaining > 0 {
            guard let one = try? unsafe reader.string() else { return nil }
            total += one.count + 4
            guard all.count < maximumKeys, total <= bytes else { return nil }
            unsafe all.append(Array(one))
        }
        return all
    }

    /// False: it does not count.
    mutating func offer(_ keys: [[UInt8]]) -> Bool {
        guard offers < Self.maximumOffers, !keys.isEmpty else { return false }
        offers += 1
        offered = keys
        return true
    }

    mutating func takeOffered() -> [[UInt8]] {
        defer { offered = [] }
        return offered
    }

    /// False: another question waits for its answer.
    mutating func ask(_ keys: [[UInt8]]) -> Bool {
        guard asked.isEmpty, !keys.isEmpty else { return false }
        asked = keys
        return true
    }

    mutating func answered(_ signatures: [[UInt8]]?) {
        answer = signatures.flatMap { $0.count == asked.count ? (asked, $0) : nil }
        asked = []
    }

    mutating func takeAnswer() -> (keys: [[UInt8]], signatures: [[UInt8]])? {
        defer { answer = nil }
        return answer
    }
}

extension ConnectionLayer {
    /// Asks the server to prove that it has these keys' private halves.
    mutating func requestHostKeyProof(of keys: [[UInt8]]) {
        guard role == .client, hostKeyNews.ask(keys) else { return }
        ownRequests.append(.hostKeyProof)
        var message = WireBytes()
        message.byte(MessageNumber.globalRequest)
        message.string("\(ProtocolName.hostKeysProve)")
        message.byte(1)
        for key in keys { message.string(key) }
        unsafe message.bytes.withUnsafeBytes { unsafe output.send($0) }
    }
}
