/// The version exchange (RFC 4253 §4.2): the line that each end sends first.
struct VersionLine {
    static let own = "SSH-2.0-culvert_0.1"
    /// CR and LF included (RFC 4253 §4.2).
    static let maximumLength = 255
    /// Lines that a server may send before its version, and their length: OpenSSH's limits.
    static let maximumLines = 1024
    static let maximumLineLength = 8192

    private var lines = 0

    enum Line: Equatable {
        /// It is not there in full.
        case incomplete
        /// A line before the version, of this many bytes.
        case greeting(Int)
        /// The version, without CR and LF, and the bytes that the line takes.
        case version([UInt8], Int)
    }

    /// Judges what is there, which begins where a line begins. A client takes lines before the version, a server none.
    mutating func read(_ bytes: UnsafeRawBufferPointer, role: ConnectionRole) throws(SSHError) -> Line {
        let looked = unsafe bytes.prefix(Self.maximumLineLength)
        guard let end = unsafe looked.firstIndex(of: UInt8(ascii: "\n")) else {
            try unsafe checkStart(looked, role: role)
            return .incomplete
        }
        var line = unsafe Array(looked[..<end])
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        guard Self.isVersion(line) else {
            guard role == .client else { throw Self.notSSH(line) }
            lines += 1
            guard lines <= Self.maximumLines else {
                throw .violation("it sends more than \(Self.maximumLines) lines before its version")
            }
            return .greeting(end + 1)
        }
        guard end < Self.maximumLength else { throw .violation("its version line has \(end + 1) bytes") }
        // NUL is forbidden by RFC 4253 §4.2; another CR would end the line for some and not for others.
        guard !line.contains(where: { $0 == 0 || $0 == UInt8(ascii: "\r") }) else {
            throw .violation("its version line has a control character")
        }
        let text = String(decoding: line, as: UTF8.self)
        guard text.hasPrefix("SSH-2.0-") || text.hasPrefix("SSH-1.99-") else {
            throw SSHError(.protocolViolation, "the peer speaks another version of SSH: \(PeerText(text))")
        }
        return .version(line, end + 1)
    }

    /// A line that has no end yet: it may still become one that is taken.
    private func checkStart(_ start: Slice<UnsafeRawBufferPointer>, role: ConnectionRole) throws(SSHError) {
        guard unsafe start.count < Self.maximumLineLength else {
            throw .violation("it sends a line of more than \(Self.maximumLineLength) bytes before its version")
        }
        let seen = unsafe Array(start.prefix(4))
        let isVersion = Array("SSH-".utf8).starts(with: seen)
        if !isVersion && role == .server { throw Self.notSSH(unsafe Array(start.prefix(Self.maximumLength))) }
        guard unsafe !isVersion || start.count < Self.maximumLength else {
            throw .violation("its version line has more than \(Self.maximumLength) bytes")
        }
    }

    private static func isVersion(_ line: [UInt8]) -> Bool { line.starts(with: "SSH-".utf8) }

    private static func notSSH(_ line: [UInt8]) -> SSHError {
        SSHError(.protocolViolation, "the peer does not speak SSH; it says \(PeerText(line))")
    }
}
