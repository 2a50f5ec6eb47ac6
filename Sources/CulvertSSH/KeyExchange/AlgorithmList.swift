/// A list of algorithms in ssh's syntax: `a,b` these; `+a` also; `-a` not; `^a` first; `*` and `?` match.
enum AlgorithmList {
    /// The list to offer, best first, never empty. `preferred`: moved to the front unless the user gave an order.
    static func resolve(
        _ kind: AlgorithmKind, _ setting: String?, preferred: [String] = []
    ) throws(SSHError) -> [String] {
        let known = kind.known
        guard let setting, !setting.isEmpty else { return moved(preferred, known) }
        let sign = setting.first ?? " "
        let names = (["+", "-", "^"].contains(sign) ? setting.dropFirst() : setting[...])
            .split(separator: ",").map(String.init)
        var list: [String]
        switch sign {
        case "-":
            list = moved(preferred, known.filter { name in !names.contains { Wildcard.matches(name, pattern: $0) } })
        case "+":
            // All that is known is in the list already: this only says whether the name is one of them.
            _ = try expand(kind, names)
            list = moved(preferred, known)
        case "^": list = moved(try expand(kind, names), known)
        default: list = try expand(kind, names)
        }
        guard !list.isEmpty else {
            throw SSHError(
                .unsupported,
                "\(kind.option)=\(PeerText(setting)) leaves no \(kind.words); the native engine has "
                    + known.joined(separator: ","))
        }
        return list
    }

    private static func expand(_ kind: AlgorithmKind, _ names: [String]) throws(SSHError) -> [String] {
        var list: [String] = []
        for name in names {
            let found = kind.known.filter { Wildcard.matches($0, pattern: name) }
            guard !found.isEmpty else {
                throw SSHError(
                    .unsupported,
                    "\(kind.option): the native engine has no \(kind.words) \"\(PeerText(name))\"; it has "
                        + "\(kind.known.joined(separator: ",")); --engine libssh2 has older ones")
            }
            list += found.filter { !list.contains($0) }
        }
        return list
    }

    private static func moved(_ preferred: [String], _ list: [String]) -> [String] {
        var first: [String] = []
        for name in preferred where list.contains(name) && !first.contains(name) { first.append(name) }
        return first + list.filter { !first.contains($0) }
    }
}
