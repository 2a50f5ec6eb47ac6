/// What `culvert status` is asked for.
public struct StatusRequest: Hashable, Sendable {
    public enum Order: String, Hashable, Sendable, CaseIterable {
        case name, state, since, connections, out, `in`, destination
    }

    /// Of tunnels; empty: all.
    public var names: [String] = []
    public var isJSON = false
    /// Shown again and again.
    public var watches = false
    /// Nothing is said: only the exit status counts.
    public var isQuiet = false
    /// nil: as the processes have them.
    public var order: Order?

    /// Reads the words behind "status". Names and options stand in any order.
    init(_ words: [String]) throws(ConfigurationError) {
        var rest = words[...]
        var onlyNames = false
        while let word = rest.popFirst() {
            if onlyNames || !word.hasPrefix("-") {
                names.append(word)
                continue
            }
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            switch String(parts[0]) {
            case "--": onlyNames = true
            case "--json" where parts.count == 1: isJSON = true
            case "--watch" where parts.count == 1, "-w": watches = true
            case "--quiet" where parts.count == 1, "-q": isQuiet = true
            case "--sort":
                let known = Order.allCases.map(\.rawValue)
                guard let text = parts.count > 1 ? String(parts[1]) : rest.popFirst() else {
                    throw ConfigurationError("--sort: give \(known.listed)")
                }
                guard let order = Order(rawValue: text) else {
                    let hint = NearestName.hint(for: text, among: known, otherwise: ": give \(known.listed)")
                    throw ConfigurationError("--sort \(text)\(hint)")
                }
                self.order = order
            case "--json", "--watch", "--quiet": throw ConfigurationError("\(parts[0]) takes no value")
            default:
                let hint = NearestName.hint(
                    for: String(parts[0]), among: ["--json", "--watch", "--sort", "--quiet", "--help"])
                throw ConfigurationError("\(word): no such option\(hint)")
            }
        }
        if isJSON, watches { throw ConfigurationError("--watch: it is for a terminal, and --json is not") }
    }
}
