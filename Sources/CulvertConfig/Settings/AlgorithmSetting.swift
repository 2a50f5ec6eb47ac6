internal import CulvertPlan

/// A list of algorithms as it was given.
struct AlgorithmSetting: Hashable, Sendable {
    var list: AlgorithmList
    /// It was written for ssh, which has more algorithms than an engine here: those that are missing are no mistake.
    var isFromFile: Bool

    /// The list without what an engine does not have, where a file gave it; nil: nothing is left of what it adds or puts
    /// first. A list of which nothing is left stays, so that the engine can say what it has.
    func restricted(to known: [String]) -> (list: AlgorithmList?, missing: [String]) {
        guard isFromFile, list.change != .remove, !known.isEmpty else { return (list, []) }
        let (present, missing) = list.names.reduce(into: ([String](), [String]())) { parts, pattern in
            let isKnown = known.contains { Wildcard.matches($0, pattern: pattern) }
            if isKnown { parts.0.append(pattern) } else { parts.1.append(pattern) }
        }
        if present.isEmpty { return list.change == .replace ? (list, []) : (nil, missing) }
        return (AlgorithmList(change: list.change, names: present, place: list.place), missing)
    }
}

extension AlgorithmList {
    /// The list that it makes of `standard`, as ssh makes it: patterns stand for names among `known`, what is not known
    /// falls out, and no name comes twice.
    func applied(to standard: [String], known: [String]) -> [String] {
        let patterns: [String]
        switch change {
        case .remove: return standard.filter { name in !names.contains { Wildcard.matches(name, pattern: $0) } }
        case .replace: patterns = names
        case .append: patterns = standard + names
        case .prepend: patterns = names + standard
        }
        var list: [String] = []
        for pattern in patterns {
            list += known.filter { Wildcard.matches($0, pattern: pattern) && !list.contains($0) }
        }
        return list
    }
}

extension SettingStore {
    /// Lists of files without what the engine does not have, and a note for each that loses something.
    func algorithms(for engine: EngineAlgorithms) -> (options: AlgorithmOptions, notes: [String]) {
        var notes: [String] = []
        func list(_ setting: AlgorithmSetting?, _ key: SettingKey, _ known: [String]) -> AlgorithmList? {
            guard let (list, missing) = setting?.restricted(to: known) else { return nil }
            if !missing.isEmpty {
                notes.append("\(key.rawValue): the engine has no \(missing.joined(separator: ",")): left out")
            }
            return list
        }
        var options = AlgorithmOptions()
        options.ciphers = list(ciphers, .ciphers, engine.ciphers)
        options.macs = list(macs, .macs, engine.macs)
        options.keyExchanges = list(kexAlgorithms, .kexAlgorithms, engine.keyExchanges)
        options.hostKeys = list(hostKeyAlgorithms, .hostKeyAlgorithms, engine.hostKeys)
        options.publicKeys = list(pubkeyAcceptedAlgorithms, .pubkeyAcceptedAlgorithms, engine.publicKeys)
        options.rekeyLimit = rekeyLimit
        return (options, notes)
    }
}
