internal import CulvertSSH

/// What a server said in the clear before the keys were exchanged: its version line (RFC 4253 §4.2) and the lists of
/// its SSH_MSG_KEXINIT (§7.1). Read only to explain a failed negotiation, so whatever is malformed is left out.
struct ServerGreeting {
    private(set) var version: PeerText?
    private(set) var offers: [AlgorithmChoice: [String]] = [:]

    init(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let line = rest[rest.startIndex..<end]
            rest = rest[(end + 1)...]
            guard line.starts(with: "SSH-".utf8) else { continue }
            version = PeerText(line.filter { $0 != UInt8(ascii: "\r") })
            break
        }
        guard version != nil else { return }
        readKexInit(rest)
    }

    private mutating func readKexInit(_ packet: ArraySlice<UInt8>) {
        let read = try? Array(packet).read("SSH_MSG_KEXINIT") { reader throws(SSHError) in
            // packet_length, padding_length, SSH_MSG_KEXINIT (20), cookie.
            _ = unsafe try reader.raw(5)
            guard try reader.byte() == 20 else { throw .malformed("SSH_MSG_KEXINIT", "it is another message") }
            _ = unsafe try reader.raw(16)
            var lists: [[String]] = []
            for _ in 0..<6 {
                let names = try reader.bytes().split(separator: UInt8(ascii: ","))
                lists.append(names.map { PeerText($0).description })
            }
            return lists
        }
        guard let lists = read else { return }
        offers = [.keyExchange: lists[0], .hostKey: lists[1], .cipher: lists[2], .mac: lists[4]]
        // Directions differ in no server seen; if they do, what both take is what counts.
        offers[.cipher] = lists[2].filter(lists[3].contains)
        offers[.mac] = lists[4].filter(lists[5].contains)
    }

    /// Names the first choice in which nothing is shared, what each side has, and how to accept what libssh2 could do.
    func explanation(offered: [AlgorithmChoice: [String]], known: [AlgorithmChoice: [String]]) -> String? {
        for choice in AlgorithmChoice.allCases {
            guard let theirs = offers[choice], let ours = offered[choice] else { continue }
            guard !theirs.contains(where: ours.contains) else { continue }
            let possible = theirs.filter { known[choice]?.contains($0) ?? false }
            let mend =
                possible.isEmpty
                ? "libssh2 can do none of these: use the native engine (--engine native)"
                : "-o \(choice.option)=+\(possible.joined(separator: ",")) would accept what libssh2 can do of these"
            return "no \(choice.words) is shared: the server offers \(theirs.joined(separator: ",")); "
                + "libssh2 was to use \(ours.joined(separator: ",")); \(mend)"
        }
        return nil
    }
}
