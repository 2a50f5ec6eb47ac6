/// The public keys to offer, in ssh's order: keys of the agent that belong to an identity file, other keys of the
/// agent, files. Pure.
struct KeyOffers {
    enum Offer: Hashable, Sendable {
        /// `file`: the identity file of the same key, tried by itself should the agent not sign.
        case agent(AgentKey, file: IdentityFile?)
        case file(IdentityFile)

        /// For messages.
        var name: String {
            switch self {
            case .agent(let agentKey, _): agentKey.described
            case .file(let file): "key \(file.described)"
            }
        }

        var step: IdentityMemory.Step {
            switch self {
            case .agent(let agentKey, _): .agentKey(agentKey.key)
            case .file(let file): .file(file.path)
            }
        }
    }

    private(set) var offers: [Offer]
    /// Files that would need an agent which has their key.
    let withoutPrivatePart: [IdentityFile]
    /// Keys of the agent that are left out because only identity files count (IdentitiesOnly).
    let passedOver: [AgentKey]

    /// - Parameter needsQuestion: whether a file's passphrase would have to be asked for. Such files come last: ssh asks
    ///   only once the server has taken the public key, and here the question comes first.
    init(
        agentKeys: [AgentKey], files: [IdentityFile], identitiesOnly: Bool, needsQuestion: (IdentityFile) -> Bool
    ) {
        var matched: [Offer] = []
        var others: [Offer] = []
        var passedOver: [AgentKey] = []
        for agentKey in agentKeys {
            let plain = files.first { $0.publicKey == agentKey.key }
            if let plain {
                matched.append(.agent(agentKey, file: plain))
            } else if identitiesOnly {
                passedOver.append(agentKey)
            } else {
                others.append(.agent(agentKey, file: nil))
            }
        }
        self.passedOver = passedOver
        let inAgent = Set(agentKeys.map(\.key))
        let notInAgent = files.filter { !($0.publicKey.map(inAgent.contains) ?? false) }
        let rest = notInAgent.filter { $0.privatePart != nil }
        withoutPrivatePart = notInAgent.filter(\.isPublicOnly)
        let silent = rest.filter { !needsQuestion($0) }
        let asking = rest.filter(needsQuestion)
        offers = matched + others + (silent + asking).map(Offer.file)
    }

    mutating func next() -> Offer? {
        offers.isEmpty ? nil : offers.removeFirst()
    }

    /// Takes out what led in before, to be offered first.
    mutating func take(_ step: IdentityMemory.Step) -> Offer? {
        guard let index = offers.firstIndex(where: { $0.step == step }) else { return nil }
        return offers.remove(at: index)
    }

    mutating func putFirst(_ offer: Offer) {
        offers.insert(offer, at: 0)
    }

    mutating func remove(_ steps: [IdentityMemory.Step]) {
        offers.removeAll { steps.contains($0.step) }
    }
}
