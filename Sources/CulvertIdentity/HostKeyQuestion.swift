internal import CulvertSSH

/// ssh's question about an unknown host key, word for word as people and scripts know it, and what an answer means.
enum HostKeyQuestion {
    enum Answer: Hashable {
        case yes, no, unclear
    }

    static let yesOrNo = "Please type 'yes' or 'no': "
    static let again = "Please type 'yes', 'no' or the fingerprint: "

    /// More names than this are counted, not listed.
    private static let listedNames = 8

    static func text(host: String, key: PublicKey, others: [KnownHosts.Entry]) -> String {
        var lines = ["The authenticity of host '\(host)' can't be established."]
        lines.append("\(key.family) key fingerprint is \(key.fingerprint).")
        if others.isEmpty {
            lines.append("This key is not known by any other names.")
        } else {
            lines.append("This host key is known by the following other names/addresses:")
            for entry in others.prefix(listedNames) { lines.append("    \(entry.place): \(name(of: entry))") }
            let more = others.count - listedNames
            if more > 0 { lines.append("    (\(more) additional names omitted)") }
        }
        lines.append("Are you sure you want to continue connecting (yes/no/[fingerprint])? ")
        return lines.joined(separator: "\n")
    }

    private static func name(of entry: KnownHosts.Entry) -> String {
        switch entry.hosts {
        case .patterns(let list): PeerText(list).description
        case .hashed: "[hashed name]"
        }
    }

    /// An empty answer is unclear, as with ssh; so is a fingerprint of another key.
    static func read(_ answer: Secret, key: PublicKey) -> Answer { read(answer, fingerprint: key.fingerprint) }

    /// The same where no fingerprint is an answer.
    static func read(_ answer: Secret) -> Answer { read(answer, fingerprint: nil) }

    private static func read(_ answer: Secret, fingerprint: String?) -> Answer {
        let text = unsafe answer.withBytes { unsafe String(decoding: $0, as: UTF8.self) }
        let word = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        switch word.lowercased() {
        case "yes": return .yes
        case "no": return .no
        default: return word == fingerprint ? .yes : .unclear
        }
    }
}
