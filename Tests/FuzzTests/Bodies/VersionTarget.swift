@testable import CulvertSSH

extension FuzzTarget {
    /// The lines before the first packet (RFC 4253 §4.2), first byte: role.
    static let version = FuzzTarget(
        "Version", maximumLength: 600,
        seeds: {
            [
                "\u{1}SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "\u{1}hello\r\nSSH-2.0-x\n", "\u{0}SSH-2.0-client\r\n",
                "\u{1}SSH-1.99-old\r\nrest", "\u{1}SSH-1.5-older\r\n", "\u{0}GET / HTTP/1.1\r\n",
            ].map { Array($0.utf8) }
        }
    ) { input in
        guard let first = input.first else { return }
        let role: ConnectionRole = first & 1 == 1 ? .client : .server
        let bytes = Array(input.dropFirst())
        let whole = outcome(bytes, role, drips: false)
        promise(whole == outcome(bytes, role, drips: true), "byte by byte the same lines are read")
    }

    /// The lines in words; the bytes come all at once or one by one.
    private static func outcome(_ bytes: [UInt8], _ role: ConnectionRole, drips: Bool) -> [String] {
        var versions = VersionLine()
        var words: [String] = []
        var start = 0
        var shown = drips ? 0 : bytes.count
        while true {
            do throws(SSHError) {
                let line = try withMemory(of: Array(bytes[start..<shown])) { memory throws(SSHError) in
                    try versions.read(UnsafeRawBufferPointer(memory), role: role)
                }
                switch line {
                case .incomplete:
                    guard shown < bytes.count else { return words }
                    shown += 1
                case .greeting(let length):
                    promise(length > 0 && length <= shown - start, "a line takes what is there")
                    words.append("greeting \(length)")
                    start += length
                case .version(let version, let length):
                    promise(length <= shown - start && length <= VersionLine.maximumLength, "a version line is short")
                    promise(version.count + 1 <= length, "a version is a part of its line")
                    return words + ["version \(version)"]
                }
            } catch {
                promise(error.kind == .protocolViolation, "a version line is the peer's fault")
                return words + ["fault"]
            }
        }
    }
}
