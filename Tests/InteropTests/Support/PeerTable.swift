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
    }

    let rows: [Row]

    /// What the tests are declared to show.
    static let declared = PeerTable(
        rows: Peer.allCases.map { peer in
            Row(
                server: name(peer.identification), shared: peer.shared,
                forwards: peer.shared == nil ? [] : ["-L", "-R"])
        })

    /// What they did show. Throws for a peer of which nothing is known.
    static func found(_ results: [PeerResult]) throws -> PeerTable {
        PeerTable(
            rows: try Peer.allCases.map { peer in
                let own = results.filter { $0.peer == peer }
                guard let first = own.first else { throw Failure("nothing is known of \(peer): make interop") }
                let used = own.compactMap(\.combination)
                guard !used.isEmpty else { return Row(server: name(first.identification)) }
                func sorted(_ all: [String], _ kind: (Combination) -> String?) -> [String] {
                    all.filter(Set(used.compactMap(kind)).contains)
                }
                let shared = Peer.Shared(
                    keyExchanges: sorted(Peer.Shared.allKeyExchanges, \.keyExchange),
                    ciphers: sorted(Peer.Shared.allCiphers, \.cipher),
                    macs: sorted(Peer.Shared.allMACs, \.mac),
                    hostKeys: sorted(Peer.Shared.allHostKeys, \.hostKey),
                    renewers: Peer.Renewer.allCases.filter(Set(own.compactMap(\.renewer)).contains))
                let forwards = ["-L", "-R"].filter { kind in own.contains { $0.forwards.contains(kind) } }
                return Row(server: name(first.identification), shared: shared, forwards: forwards)
            })
    }

    /// `OpenSSH_9.2p1 Debian-2` is OpenSSH 9.2: what a distribution adds differs between machines.
    static func name(_ identification: String) -> String {
        guard !identification.hasPrefix("Go") else { return "golang.org/x/crypto" }
        let parts = identification.split(separator: "_", maxSplits: 1)
        let version = parts.count > 1 ? parts[1].prefix { $0.isNumber || $0 == "." } : ""
        return "\(parts.first ?? "") \(version)"
    }

    // MARK: Markdown

    var markdown: String {
        var lines = [
            "| server | key exchange | cipher | MAC of AES-CTR | host key | `-L` | `-R` | keys renewed by |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for row in rows {
            guard let shared = row.shared else {
                lines.append("| \(row.server) | refused: it has no strict key exchange | | | | | | |")
                continue
            }
            var cells =
                [row.server, shared.keyExchanges.joined(separator: ", ")]
                + [shared.ciphers, shared.macs, shared.hostKeys].map(Self.short)
            cells += ["-L", "-R"].map { row.forwards.contains($0) ? "yes" : "no" }
            cells.append(shared.renewers.map(\.rawValue).joined(separator: ", "))
            lines.append("| \(cells.joined(separator: " | ")) |")
        }
        return lines.joined(separator: "\n")
    }

    /// Names without what they all have.
    private static func short(_ names: [String]) -> String {
        names.map { name in
            let bare = name.hasSuffix("@openssh.com") ? String(name.dropLast("@openssh.com".count)) : name
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
