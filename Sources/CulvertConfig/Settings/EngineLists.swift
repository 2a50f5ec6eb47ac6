internal import CulvertPlan

extension AlgorithmList {
    /// The list without what an engine does not have; nil: nothing is left of what it adds or puts first. A list that
    /// replaces the engine's and of which nothing is left stays, so that the engine can say what it has.
    func restricted(to known: [String]) -> AlgorithmList? {
        let missing = missing(from: known)
        if missing.isEmpty || known.isEmpty { return self }
        if missing == names { return change == .replace ? self : nil }
        return AlgorithmList(change: change, names: names.filter { !missing.contains($0) }, place: place)
    }

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
    /// Lists without what the engine does not have, and a note for each that loses something: they are written for
    /// programs that know more, and what is left is what was meant.
    func algorithms(for engine: EngineAlgorithms) -> (options: AlgorithmOptions, notes: [String]) {
        var notes: [String] = []
        func list(_ list: AlgorithmList?, _ key: SettingKey, _ known: [String]) -> AlgorithmList? {
            guard let list else { return nil }
            let missing = list.missing(from: known)
            let restricted = list.restricted(to: known)
            if !missing.isEmpty, !known.isEmpty, restricted != list {
                notes.append("\(key.rawValue): the engine has no \(missing.joined(separator: ",")): left out")
            }
            return restricted
        }
        var options = AlgorithmOptions()
        options.ciphers = list(ciphers, .ciphers, engine.ciphers)
        options.macs = list(macs, .macs, engine.macs)
        options.keyExchanges = list(kexAlgorithms, .kexAlgorithms, engine.keyExchanges)
        options.hostKeys = list(hostKeyAlgorithms, .hostKeyAlgorithms, engine.hostKeys)
        options.publicKeys = list(pubkeyAcceptedAlgorithms, .pubkeyAcceptedAlgorithms, engine.publicKeys)
        options.rekeyLimit = rekeyLimit
        if let note = options.dropMACs(engine) { notes.append(note) }
        return (options, notes)
    }
}

extension AlgorithmOptions {
    /// Where no MAC is left, ciphers that need none may be left all the same: then only those are offered, and no list of
    /// MACs ends anything. Returns what is to be said.
    fileprivate mutating func dropMACs(_ engine: EngineAlgorithms) -> String? {
        guard let list = macs, !engine.macs.isEmpty,
            list.applied(to: engine.macs, known: engine.macs).isEmpty
        else { return nil }
        let offered = ciphers?.applied(to: engine.ciphers, known: engine.ciphers) ?? engine.ciphers
        let needingNone = offered.filter(KnownAlgorithms.authenticatedCiphers.contains)
        if needingNone.isEmpty { return nil }
        macs = nil
        if needingNone != offered {
            ciphers = AlgorithmList(change: .replace, names: needingNone, place: ciphers?.place ?? list.place)
        }
        return "MACs: the engine has none of \(list): only ciphers that need no MAC are used"
    }
}
