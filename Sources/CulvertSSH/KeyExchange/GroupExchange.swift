/// A group exchange (RFC 4419 §3): what the client asks for, and, once it is known, the group that the server gives.
struct GroupExchange: Equatable {
    /// SSH_MSG_KEX_DH_GEX_REQUEST: lengths of a prime, bits.
    struct Request: Equatable {
        var minimum: UInt32
        var preferred: UInt32
        var maximum: UInt32

        init(minimum: UInt32, preferred: UInt32, maximum: UInt32) {
            self.minimum = minimum
            self.preferred = preferred
            self.maximum = maximum
        }
    }

    var request: Request
    var group: DiffieHellmanGroup?

    /// What the exchange hash has of it: min ‖ n ‖ max ‖ p ‖ g.
    var fields: [UInt8] {
        guard let group else { preconditionFailure("a group exchange has a group when its end is hashed") }
        var bytes = WireBytes()
        request.write(to: &bytes)
        bytes.raw(group.fields)
        return bytes.bytes
    }
}

extension GroupExchange.Request {
    /// A client's: as OpenSSH asks, at least 2048 and at most 8192 bits, and of them as many as are as strong as keys of
    /// this length, bytes (NIST SP 800-57 part 1 §5.6.1). `peerVersion`: Cisco's servers of old cannot calculate with more
    /// than 4096.
    init(keyLength: Int, peerVersion: [UInt8]) {
        let bits = DiffieHellmanGroup.bits
        let strong: Int
        switch keyLength {
        case ...14: strong = bits.lowerBound
        case ...16: strong = 3072
        case ...24: strong = 7680
        default: strong = bits.upperBound
        }
        let isLimited = peerVersion.starts(with: "SSH-2.0-Cisco-1.".utf8)
        self.init(
            minimum: UInt32(bits.lowerBound), preferred: UInt32(isLimited ? min(strong, 4096) : strong),
            maximum: UInt32(bits.upperBound))
    }

    /// SSH_MSG_KEX_DH_GEX_REQUEST, as a server hears it. `reader`: behind the message number.
    init(_ reader: consuming WireReader) throws(SSHError) {
        minimum = try reader.uint32()
        preferred = try reader.uint32()
        maximum = try reader.uint32()
        try reader.end()
    }

    func write(to bytes: inout WireBytes) {
        bytes.uint32(minimum)
        bytes.uint32(preferred)
        bytes.uint32(maximum)
    }

    /// The message, number included.
    var bytes: [UInt8] {
        var message = WireBytes()
        message.byte(MessageNumber.groupExchangeRequest)
        write(to: &message)
        return message.bytes
    }

    /// What a server answers: of RFC 3526's groups the least with as many bits as are wanted, or the longest one that may be.
    func choose() throws(SSHError) -> DiffieHellmanGroup {
        guard minimum <= preferred && preferred <= maximum else {
            throw .exchange("the client asks for groups of \(minimum) to \(maximum) bits, rather \(preferred)")
        }
        let fitting = [2048, 3072, 4096, 6144, 8192].filter { (minimum...maximum).contains(UInt32($0)) }
        guard let bits = fitting.first(where: { $0 >= preferred }) ?? fitting.last else {
            throw .exchange("the client asks for groups of \(minimum) to \(maximum) bits")
        }
        return DiffieHellmanGroup(bits: bits)
    }
}

extension DiffieHellmanGroup {
    /// SSH_MSG_KEX_DH_GEX_GROUP, as a client hears it. `reader`: behind the message number.
    init(_ reader: consuming WireReader, for request: GroupExchange.Request) throws(SSHError) {
        let name: StaticString = "SSH_MSG_KEX_DH_GEX_GROUP"
        let prime = unsafe try reader.mpint(of: name)
        let generator = unsafe try reader.mpint(of: name)
        try reader.end()
        try unsafe self.init(
            prime: prime, generator: generator, within: Int(request.minimum)...Int(request.maximum))
    }

    /// Both numbers, each an `mpint`.
    fileprivate var fields: [UInt8] {
        var bytes = WireBytes()
        for number in [prime, generator] {
            unsafe number.withUnsafeBytes { unsafe bytes.string(MPInt.content($0)) }
        }
        return bytes.bytes
    }

    /// SSH_MSG_KEX_DH_GEX_GROUP, number included.
    var bytes: [UInt8] { [MessageNumber.groupExchangeGroup] + fields }
}
