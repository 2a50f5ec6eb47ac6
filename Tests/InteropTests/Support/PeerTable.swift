import Foundation

/// What was tested with a peer and found good: one line of JSON in a file of `.build/interop` for each.
struct PeerResult: Codable, Equatable {
    let peer: Peer
    /// What the server said of itself.
    let identification: String
    /// The algorithms that were in use; nil where culvert refused the server, as it should.
    var combination: Combination?
    /// The kinds of forward that carried data both ways, `-L` and `-R`.
    var forwards: [String] = []
    /// Who began the key exchanges after the first one, where there were any.
    var renewer: Peer.Renewer?
    /// How many there were.
    var renewals = 0
    /// The algorithm of the certificate that logged in, where one did.
    var userCertificate: String?
    /// Whether only careful connections were made (`Flow.transfer`).
    var isCareful = false
}

/// The file that one test of one peer writes its results to.
struct PeerRecord {
    static let folder = "\(Tools.root)/.build/interop"
    private let path: String

    /// Begins anew: what an earlier run found counts no more.
    init(_ peer: Peer, _ test: String) throws {
        try FileManager.default.createDirectory(atPath: Self.folder, withIntermediateDirectories: true)
        path = "\(Self.folder)/\(peer.rawValue)-\(test).jsonl"
        try Data().write(to: URL(fileURLWithPath: path))
    }

    func add(_ result: PeerResult) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.seekToEnd()
        try file.write(contentsOf: try encoder.encode(result) + Data("\n".utf8))
    }

    /// Everything that the last runs found.
    static func all() throws -> [PeerResult] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return try names.filter { $0.hasSuffix(".jsonl") }.sorted().flatMap { name in
            try readWhole("\(folder)/\(name)").split(separator: "\n").map {
                try JSONDecoder().decode(PeerResult.self, from: Data($0.utf8))
            }
        }
    }
}

/// The table of README.md, section "Tested with": one row a peer.
struct PeerTable: Equatable {
    struct Row: Equatable {
        /// Name and version.
        let server: String
        /// nil where culvert refuses the server.
        var shared: Peer.Shared?
        var forwards: [String] = []
        var isCareful = false
    }

    let rows: [Row]

    /// What the tests are declared to show.
    static let declared = PeerTable(rows: Peer.allCases.map(row))

    private static func row(of peer: Peer) -> Row {
        Row(
            server: name(peer.identification), shared: peer.shared, forwards: peer.shared == nil ? [] : ["-L", "-R"],
            isCareful: peer.needsCare)
    }

    /// What they did show. Of a peer that is not on this machine what is declared stays; of any other something must be
    /// known.
    static func found(_ results: [PeerResult]) throws -> PeerTable {
        PeerTable(
            rows: try Peer.allCases.map { peer in
                let own = results.filter { $0.peer == peer }
                guard let first = own.first else {
                    guard !peer.isHere else { throw Failure("nothing is known of \(peer): make interop") }
                    return row(of: peer)
                }
                let used = own.compactMap(\.combination)
                let logins = Set(own.compactMap(\.userCertificate))
                guard !used.isEmpty else { return Row(server: name(first.identification)) }
                func sorted(_ all: [String], _ kind: (Combination) -> String?) -> [String] {
                    all.filter(Set(used.compactMap(kind)).contains)
                }
                let shared = Peer.Shared(
                    keyExchanges: sorted(Peer.Shared.allKeyExchanges, \.keyExchange),
                    ciphers: sorted(Peer.Shared.allCiphers, \.cipher),
                    macs: sorted(Peer.Shared.allMACs, \.mac),
                    hostKeys: sorted(Peer.Shared.allHostKeys, \.hostKey),
                    certificates: sorted(Peer.Shared.allCertificates, \.hostKey).filter(logins.contains),
                    renewers: Peer.Renewer.allCases.filter(Set(own.compactMap(\.renewer)).contains))
                let forwards = ["-L", "-R"].filter { kind in own.contains { $0.forwards.contains(kind) } }
                return Row(
                    server: name(first.identification), shared: shared, forwards: forwards,
                    isCareful: own.contains(where: \.isCareful))
            })
    }

    /// `OpenSSH_9.2p1 Debian-2` is OpenSSH 9.2: what a distribution adds differs between machines.
    static func name(_ identification: String) -> String {
        guard !identification.hasPrefix("Go") else { return "golang.org/x/crypto" }
        let parts = identification.split(maxSplits: 1) { "_/".contains($0) }
        let version = parts.count > 1 ? parts[1].prefix { $0.isNumber || $0 == "." } : ""
        let library = parts.first.map { $0 == "Twisted" ? "Twisted Conch" : String($0) } ?? ""
        return "\(library) \(version)"
    }

    // MARK: Markdown

    var markdown: String {
        var lines = [
            "| server | key exchange | cipher | MAC of AES-CTR | host key | certificates, of hosts and of users | `-L` "
                + "| `-R` | keys renewed by |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for row in rows {
            guard let shared = row.shared else {
                lines.append("| \(row.server) | refused: it has no strict key exchange | | | | | | | |")
                continue
            }
            var cells =
                [row.server + (row.isCareful ? " ¹" : ""), shared.keyExchanges.joined(separator: ", ")]
                + [shared.ciphers, shared.macs, shared.hostKeys, shared.certificates].map(Self.short)
            cells += ["-L", "-R"].map { row.forwards.contains($0) ? "yes" : "no" }
            cells.append(shared.renewers.map(\.rawValue).joined(separator: ", "))
            lines.append("| \(cells.joined(separator: " | ")) |")
        }
        if rows.contains(where: \.isCareful) {
            lines += ["", "¹ \(Self.care)"]
        }
        return lines.joined(separator: "\n")
    }

    private static let care =
        "It ends a connection whole when either end of it ends, and what is on its way from the other end may be lost; "
        + "Erlang's also loses what a target of `-R` says at once, as seen with `ssh` too. It was tested with connections "
        + "in which the client speaks first, and which the target ends once everything has arrived."

    /// Names without what they all have.
    private static func short(_ names: [String]) -> String {
        names.map { name in
            let suffix = ["-cert-v01@openssh.com", "@openssh.com"].first(where: name.hasSuffix) ?? ""
            let bare = String(name.dropLast(suffix.count))
            let prefix = ["ssh-", "ecdsa-sha2-"].first(where: bare.hasPrefix) ?? ""
            return String(bare.dropFirst(prefix.count))
        }.joined(separator: ", ")
    }

    // MARK: README.md

    static let readme = "\(Tools.root)/README.md"
    private static let begin = "<!-- made by make interop-table -->\n"
    private static let end = "\n<!-- end -->"

    /// What stands between the markers.
    private static func place(in text: String) throws -> Range<String.Index> {
        guard let first = text.range(of: begin),
            let last = text.range(of: end, range: first.upperBound..<text.endIndex)
        else { throw Failure("README.md has lost the markers of the table") }
        return first.upperBound..<last.lowerBound
    }

    static func printed(in text: String) throws -> String { String(text[try place(in: text)]) }

    func replacing(in text: String) throws -> String {
        text.replacingCharacters(in: try Self.place(in: text), with: markdown)
    }
}
