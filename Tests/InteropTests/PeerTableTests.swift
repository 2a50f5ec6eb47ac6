import Foundation
import Testing

/// The table of what was tested, and the choice of what is.
@Suite(.serialized) struct PeerTableTests {
    static let writes = ProcessInfo.processInfo.environment["CULVERT_TABLE"] == "write"

    @Test(
        "README's table is written from what the last runs found",
        .enabled(if: writes, "it is what make interop-table runs"))
    func write() throws {
        let text = try PeerTable.found(try PeerRecord.all()).replacing(in: readWhole(PeerTable.readme))
        try text.write(toFile: PeerTable.readme, atomically: true, encoding: .utf8)
    }

    @Test("README's table says what the tests are declared to show", .enabled(if: !writes))
    func readme() throws {
        #expect(try PeerTable.printed(in: readWhole(PeerTable.readme)) == PeerTable.declared.markdown)
    }

    /// Of everything that is declared.
    private static let everything = Peer.allCases.flatMap(results)

    /// Results as a run would write them.
    private static func results(_ peer: Peer) -> [PeerResult] {
        let identification = "\(peer.identification)p1 Some-1"
        guard let shared = peer.shared else { return [PeerResult(peer: peer, identification: identification)] }
        let forwards = ["-L", "-R"]
        let carried = shared.combinations(full: false).map {
            PeerResult(
                peer: peer, identification: identification, combination: $0, forwards: forwards,
                isCareful: peer.needsCare)
        }
        return carried
            + shared.renewers.map {
                PeerResult(
                    peer: peer, identification: identification, combination: carried[0].combination, forwards: forwards,
                    renewer: $0, renewals: 5, isCareful: peer.needsCare)
            }
            + shared.certificates.map {
                PeerResult(
                    peer: peer, identification: identification, userCertificate: $0,
                    isCareful: peer.needsCare)
            }
    }

    @Test("results of everything that is declared make the declared table, in any order")
    func found() throws {
        let all = Self.everything
        let (found, declared) = (try PeerTable.found(all), PeerTable.declared)
        #expect(found == declared, "\(found.markdown)\n\(declared.markdown)")
        #expect(try PeerTable.found(all.reversed()) == .declared)
        let encoded = try all.map { try JSONEncoder().encode($0) }
        #expect(try encoded.map { try JSONDecoder().decode(PeerResult.self, from: $0) } == all)
    }

    @Test("a result that is missing changes the table, and a peer without any is an error", arguments: Peer.accepted)
    func missing(_ peer: Peer) throws {
        let all = Self.everything
        let shared = try #require(peer.shared)
        let cipher = try #require(shared.ciphers.last)
        let mac = try #require(shared.macs.last)
        var fewer = [
            all.filter { $0.peer != peer || $0.combination?.cipher != cipher },
            all.filter { $0.peer != peer || $0.combination?.mac != mac },
            all.filter { $0.peer != peer || $0.renewer != shared.renewers.last || $0.renewer == nil },
            all.map { result in
                var other = result
                if result.peer == peer { other.isCareful.toggle() }
                return other
            },
        ]
        if let certificate = shared.certificates.last {
            fewer.append(all.filter { $0.peer != peer || $0.userCertificate != certificate })
            fewer.append(all.filter { $0.peer != peer || $0.combination?.hostKey != certificate })
        }
        for kept in fewer where kept.contains(where: { $0.peer == peer }) {
            #expect(try PeerTable.found(kept).markdown != PeerTable.declared.markdown)
        }
        #expect(throws: Failure.self) { try PeerTable.found(all.filter { $0.peer != peer }) }
    }

    @Test("the table is put between its markers, and nowhere else")
    func replacing() throws {
        let text = readWhole(PeerTable.readme)
        let other = PeerTable(rows: [PeerTable.Row(server: "other 1")])
        let changed = try other.replacing(in: text)
        #expect(try PeerTable.printed(in: changed) == other.markdown)
        let table = try PeerTable.printed(in: text)
        #expect(changed.replacingOccurrences(of: other.markdown, with: table) == text)
        #expect(throws: Failure.self) { try other.replacing(in: "no markers") }
    }

    @Test("a combination of each pair, and few of them", arguments: Peer.accepted)
    func pairs(_ peer: Peer) throws {
        let shared = try #require(peer.shared)
        let lists = shared.lists
        let cover = Pairwise.cover(lists)
        let all = Pairwise.product(lists)
        #expect(Set(all).count == lists.map(\.count).reduce(1, *))
        #expect(Set(cover.flatMap(Pairwise.pairs)) == Set(all.flatMap(Pairwise.pairs)))
        // No cover is smaller than the product of its two longest lists.
        let least = lists.map(\.count).sorted().suffix(2).reduce(1, *)
        #expect(cover.count >= least && cover.count <= least + 4)
        // Each MAC with each cipher that needs one.
        let modes = Set(shared.combinations(full: false).compactMap { one in one.mac.map { "\(one.cipher) \($0)" } })
        #expect(modes == Set(shared.counterModes(full: true).map { "\($0.cipher) \($0.mac)" }))
    }
}
