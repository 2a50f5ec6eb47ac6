/// A list of algorithm names as ssh_config(5) has it. Which names exist is for the engine to say.
public struct AlgorithmList: Hashable, Sendable, CustomStringConvertible {
    /// What the first character says about the default list.
    public enum Change: String, Hashable, Sendable, CaseIterable {
        case replace = ""
        case append = "+"
        /// Names may hold wildcards.
        case remove = "-"
        case prepend = "^"
    }

    public var change: Change
    /// Never empty.
    public var names: [String]
    /// The file and line that it stands in, before what is said of it; empty: the command line.
    public var place: String

    public init(change: Change, names: [String], place: String = "") {
        self.change = change
        self.names = names
        self.place = place
    }

    /// nil: no name, or a character that no name has (RFC 4251 §6). As in ssh empty names between commas are passed over, and
    /// a name counts once.
    public init?(_ text: String) {
        place = ""
        change = text.first.flatMap { Change(rawValue: String($0)) } ?? .replace
        var seen: Set<Substring> = []
        names = text.dropFirst(change.rawValue.count).split(separator: ",").filter { seen.insert($0).inserted }
            .map(String.init)
        let fits = names.allSatisfy { name in
            name.utf8.count <= 64 && name.utf8.allSatisfy { (0x21...0x7e).contains($0) }
        }
        if !fits || names.isEmpty { return nil }
    }

    /// Where it stands is no difference.
    public static func == (one: AlgorithmList, other: AlgorithmList) -> Bool {
        one.change == other.change && one.names == other.names
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(change)
        hasher.combine(names)
    }

    /// As ssh_config(5) spells it.
    public var description: String { change.rawValue + names.joined(separator: ",") }
}

extension AlgorithmList {
    /// Why a list comes to nothing that can be offered.
    public enum Fault: Error, Hashable {
        /// The engine has nothing of what is named: these names and patterns.
        case unknown([String])
        /// Nothing is left.
        case empty
    }

    /// What it makes of an engine's own list: the names to offer, best first, each once, never none. A name that the engine
    /// has not falls out: lists are written for servers and programs that know more.
    ///
    /// `known`: all that the engine has. `preferred`: moved to the front unless this list gives an order.
    public func offer(standard: [String], known: [String], preferred: [String] = []) throws(Fault) -> [String] {
        let list: [String]
        switch change {
        case .replace:
            list = expanded(known)
            if list.isEmpty { throw .unknown(names) }
        case .append:
            let more = expanded(known)
            list = Self.moved(preferred, standard + more.filter { !standard.contains($0) })
        case .remove:
            list = Self.moved(
                preferred, standard.filter { name in !names.contains { Wildcard.matches(name, pattern: $0) } })
        case .prepend:
            let first = expanded(known)
            list = first + standard.filter { !first.contains($0) }
        }
        if list.isEmpty { throw .empty }
        return list
    }

    /// Those of `preferred` that are in the list come first.
    public static func moved(_ preferred: [String], _ list: [String]) -> [String] {
        var first: [String] = []
        for name in preferred where list.contains(name) && !first.contains(name) { first.append(name) }
        return first + list.filter { !first.contains($0) }
    }

    /// The names and patterns that stand for nothing among `known`; what is taken away need not exist.
    public func missing(from known: [String]) -> [String] {
        if change == .remove { return [] }
        return names.filter { pattern in !known.contains { Wildcard.matches($0, pattern: pattern) } }
    }

    private func expanded(_ known: [String]) -> [String] {
        var list: [String] = []
        for name in names {
            list += known.filter { Wildcard.matches($0, pattern: name) && !list.contains($0) }
        }
        return list
    }
}
