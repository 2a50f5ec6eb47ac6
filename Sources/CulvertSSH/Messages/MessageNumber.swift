/// The first byte of a message (RFC 4250 §4.1.2): those that are sent or understood here.
enum MessageNumber {
    static let disconnect: UInt8 = 1
    static let ignore: UInt8 = 2
    static let unimplemented: UInt8 = 3
    static let debug: UInt8 = 4
    static let serviceRequest: UInt8 = 5
    static let serviceAccept: UInt8 = 6
    static let extInfo: UInt8 = 7
    static let keyExchangeInit: UInt8 = 20
    static let newKeys: UInt8 = 21
    /// The client's part of a key exchange, and the server's (RFC 5656 §7.1, RFC 4253 §8; the hybrids have the same
    /// numbers).
    static let exchangeInit: UInt8 = 30
    static let exchangeReply: UInt8 = 31
    /// The same messages of a group exchange, and those before them (RFC 4419 §5): 31 is another one there.
    static let groupExchangeGroup: UInt8 = 31
    static let groupExchangeInit: UInt8 = 32
    static let groupExchangeReply: UInt8 = 33
    static let groupExchangeRequest: UInt8 = 34
    static let userAuthRequest: UInt8 = 50
    static let globalRequest: UInt8 = 80
    static let requestSuccess: UInt8 = 81
    static let requestFailure: UInt8 = 82
    static let channelOpen: UInt8 = 90
    static let channelOpenConfirmation: UInt8 = 91
    static let channelOpenFailure: UInt8 = 92
    static let channelWindowAdjust: UInt8 = 93
    static let channelData: UInt8 = 94
    static let channelExtendedData: UInt8 = 95
    static let channelEOF: UInt8 = 96
    static let channelClose: UInt8 = 97
    static let channelRequest: UInt8 = 98
    static let channelSuccess: UInt8 = 99
    static let channelFailure: UInt8 = 100
    /// ping@openssh.com (OpenSSH's PROTOCOL §1.8).
    static let ping: UInt8 = 192
    static let pong: UInt8 = 193

    /// Whether a message's length says something about a secret in it: a client's requests and answers in user
    /// authentication (RFC 4252 §8, RFC 4256 §3.4), whatever they carry.
    static func isConcealed(_ number: UInt8) -> Bool {
        number == userAuthRequest || number == UserAuthNumber.infoResponse
    }
}

/// The names by which OpenSSH and the RFCs call channel types and global requests.
enum ProtocolName {
    static let directTCPIP: StaticString = "direct-tcpip"
    static let forwardedTCPIP: StaticString = "forwarded-tcpip"
    static let directStreamLocal: StaticString = "direct-streamlocal@openssh.com"
    static let forwardedStreamLocal: StaticString = "forwarded-streamlocal@openssh.com"
    static let session: StaticString = "session"
    static let exec: StaticString = "exec"
    static let tcpipForward: StaticString = "tcpip-forward"
    static let cancelTCPIPForward: StaticString = "cancel-tcpip-forward"
    static let streamLocalForward: StaticString = "streamlocal-forward@openssh.com"
    static let cancelStreamLocalForward: StaticString = "cancel-streamlocal-forward@openssh.com"
    static let keepalive: StaticString = "keepalive@openssh.com"
    static let hostKeys: StaticString = "hostkeys-00@openssh.com"
    static let hostKeysProve: StaticString = "hostkeys-prove-00@openssh.com"

    /// Whether a name on the wire is this one. Names are US-ASCII and compared byte by byte (RFC 4251 §6).
    static func matches(_ bytes: UnsafeRawBufferPointer, _ name: StaticString) -> Bool {
        name.withUTF8Buffer { buffer in
            unsafe buffer.count == bytes.count && buffer.elementsEqual(bytes)
        }
    }
}
