internal import CulvertPlan

/// CanonicalizeHostname and its family: what a short name is called in full, as ssh(1) finds it. The files are read once more
/// with that name.
struct Canonicalization {
    enum Mode: String {
        case no = "false"
        case yes = "true"
        /// Names too that a proxy or a jump host will look up.
        case always
    }

    /// All lookups of one name together, seconds: at the start of the process the user waits for them, and later the deadline
    /// of reading files again is no longer.
    static let patience = Duration.seconds(30)

    let mode: Mode
    /// CanonicalDomains.
    private let domains: [String]
    private let maximumDots: Int
    /// CanonicalizeFallbackLocal: a name that no domain has stays as it is.
    private let fallsBack: Bool
    /// CanonicalizePermittedCNAMEs: which names may lead to which, as lists of patterns.
    private let permitted: [(source: String, target: String)]
    /// Whether culvert itself looks the name up.
    private let isDirect: Bool
    private let family: ConnectionOptions.AddressFamily
    private let access: ConfigurationAccess
    private let begun = ContinuousClock.now

    init(_ store: SettingStore, _ access: ConfigurationAccess) {
        func words(_ key: String) -> [String] { (store.plain[key] ?? []).filter { $0.lowercased() != "none" } }
        mode = store.plain["canonicalizehostname"]?.first.flatMap { Mode(rawValue: $0) } ?? .no
        domains = words("canonicaldomains")
        maximumDots = store.plain["canonicalizemaxdots"]?.first.flatMap { Int($0) } ?? 1
        fallsBack = store.plain["canonicalizefallbacklocal"]?.first != "no"
        permitted = words("canonicalizepermittedcnames").map { rule in
            let parts = rule.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
        }
        isDirect = store.effectiveProxyCommand == nil && store.effectiveProxyJump == nil
        family = store.addressFamily ?? .any
        self.access = access
    }

    /// What `name`, which is in lower case, comes to. Throws where a name that no domain has is no name, and where an earlier
    /// answer would be forgotten because nobody can be asked now. `note` takes what is worth telling.
    func name(for name: String, note: (String) -> Void) throws(ConfigurationError) -> String {
        // As ssh has it: those can be nothing but addresses.
        let isAddress = name.contains("%") || name.contains(":") || name.allSatisfy { "0123456789.".contains($0) }
        guard mode != .no, isDirect || mode == .always, !isAddress else { return name }
        if let found = try canonical(name, note) { return found }
        guard !permitted.isEmpty else { return name }
        guard case .found(let alias) = try lookUp(name, note) else {
            // As in ssh, which has to know the name's alias; what a proxy looks up may be known to nobody here.
            if isDirect {
                throw .network("could not resolve host \(name), whose alias CanonicalizePermittedCNAMEs asks for")
            }
            return name
        }
        return follow(alias, from: name)
    }

    /// nil: there is none, and the name stays.
    private func canonical(_ name: String, _ note: (String) -> Void) throws(ConfigurationError) -> String? {
        var candidates = [name]
        if !name.hasSuffix(".") {
            guard name.count(where: { $0 == "." }) <= maximumDots else { return nil }
            candidates = domains.map { "\(name).\($0)." }
        }
        for candidate in candidates {
            if case .found(let alias) = try lookUp(candidate, note) {
                return follow(alias, from: String(candidate.dropLast()))
            }
        }
        if !fallsBack { throw .network("could not resolve host \(name) in any of CanonicalDomains") }
        return nil
    }

    private func lookUp(_ name: String, _ note: (String) -> Void) throws(ConfigurationError) -> HostLookup {
        guard ContinuousClock.now - begun < Self.patience else {
            throw .network(
                "CanonicalizeHostname: looking names up took more than \(Self.patience.components.seconds) s")
        }
        let asked = ContinuousClock.now
        let result = access.lookUp(name, family)
        let took = ContinuousClock.now - asked
        if took >= .seconds(3) {
            access.tell("CanonicalizeHostname: the answer about \(name) took \(took.components.seconds) s")
        }
        if case .failed(let reason) = result {
            if access.isReadAgain { throw .network("CanonicalizeHostname: \(name): \(reason)") }
            note("CanonicalizeHostname: could not resolve \(name): \(reason)")
        }
        return result
    }

    /// The name that an alias leads to, if some rule permits it.
    private func follow(_ alias: String?, from name: String) -> String {
        guard let alias = alias.flatMap(HostName.domain), alias != name else { return name }
        let isPermitted = permitted.contains { rule in
            PatternList.matchesHost(name, rule.source) && PatternList.matchesHost(alias, rule.target)
        }
        return isPermitted ? alias : name
    }
}
