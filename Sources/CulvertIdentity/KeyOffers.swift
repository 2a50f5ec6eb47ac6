internal import CulvertSSH

/// The public keys to offer, in ssh's order: certificates that are named, keys of the agent that belong to an identity file,
/// other keys of the agent, files, each before its certificate. Pure.
struct KeyOffers {
    enum Offer: Hashable, Sendable {
        /// `file`: the identity file of the same key, tried by itself should the agent not sign.
        case agent(AgentKey, file: IdentityFile?)
        case file(IdentityFile)
        case certificate(UserCertificate, KeyHolder)

        /// For messages.
        var name: String {
            switch self {
            case .agent(let agentKey, _): agentKey.described
            case .file(let file): "key \(file.described)"
            case .certificate(let certificate, _): certificate.described
            }
        }

        /// Whose private key is read from a file.
        var file: IdentityFile? {
            switch self {
            case .file(let file), .certificate(_, .file(let file)): file
            case .agent, .certificate(_, .agent): nil
            }
        }

        /// What is shown in place of a bare key.
        var shownCertificate: Certificate? {
            switch self {
            case .agent(let agentKey, _): agentKey.key.certificate
            case .certificate(let certificate, _): certificate.certificate
            case .file: nil
            }
        }

        var step: IdentityMemory.Step {
            switch self {
            case .agent(let agentKey, _): .agentKey(agentKey.key)
            case .file(let file): .file(file.path)
            case .certificate(let certificate, _): .certificate(certificate.path)
            }
        }
    }

    /// Who signs for a certificate.
    enum KeyHolder: Hashable, Sendable {
        case agent(AgentKey)
        case file(IdentityFile)
    }

    private(set) var offers: [Offer]
    /// Files that would need an agent which has their key.
    let withoutPrivatePart: [IdentityFile]
    /// Certificates whose private key is nowhere.
    let withoutKey: [UserCertificate]
    /// Keys of the agent that are left out because only identity files count (IdentitiesOnly).
    let passedOver: [AgentKey]

    /// - Parameters:
    ///   - certificates: those that are named; of the files each has its own.
    ///   - needsQuestion: whether a file's passphrase would have to be asked for. Such files come last: ssh asks only once
    ///     the server has taken the public key, and here the question comes first.
    init(
        agentKeys: [AgentKey], files: [IdentityFile], certificates: [UserCertificate] = [], identitiesOnly: Bool,
        needsQuestion: (IdentityFile) -> Bool
    ) {
        var matched: [AgentKey] = []
        var others: [AgentKey] = []
        var passedOver: [AgentKey] = []
        for agentKey in agentKeys {
            if files.contains(where: { $0.publicKey == agentKey.key || $0.certificate?.key == agentKey.key }) {
                matched.append(agentKey)
            } else if identitiesOnly {
                passedOver.append(agentKey)
            } else {
                others.append(agentKey)
            }
        }
        self.passedOver = passedOver
        let usable = matched + others
        let inAgent = Set(agentKeys.map(\.key))
        var withoutKey: [UserCertificate] = []
        func offer(_ certificate: UserCertificate, beside file: IdentityFile?) -> Offer? {
            guard let holder = Self.holder(of: certificate, beside: file, agentKeys: usable, files: files) else {
                withoutKey.append(certificate)
                return nil
            }
            return .certificate(certificate, holder)
        }
        let named = certificates.compactMap { offer($0, beside: nil) }
        var rest: [Offer] = []
        var withoutPrivatePart: [IdentityFile] = []
        for file in files {
            let isInAgent = file.publicKey.map(inAgent.contains) ?? false
            if !isInAgent, file.privatePart != nil { rest.append(.file(file)) }
            // A file that is a certificate has its key elsewhere.
            if !isInAgent, file.isPublicOnly, file.publicKey?.isCertificate != true { withoutPrivatePart.append(file) }
            if let certificate = file.certificate, !inAgent.contains(certificate.key),
                let offer = offer(certificate, beside: file)
            {
                rest.append(offer)
            }
        }
        self.withoutPrivatePart = withoutPrivatePart
        self.withoutKey = withoutKey
        func asks(_ offer: Offer) -> Bool {
            switch offer {
            case .agent, .certificate(_, .agent): false
            case .file(let file), .certificate(_, .file(let file)): needsQuestion(file)
            }
        }
        let agents = usable.map { key in Offer.agent(key, file: files.first { $0.publicKey == key.key }) }
        offers =
            named.filter { !asks($0) } + agents + rest.filter { !asks($0) } + (named + rest).filter(asks)
    }

    /// The certificate itself in the agent, its key there, its key in a file that shows it, or the file that it lies beside.
    private static func holder(
        of certificate: UserCertificate, beside file: IdentityFile?, agentKeys: [AgentKey], files: [IdentityFile]
    ) -> KeyHolder? {
        if let same = agentKeys.first(where: { $0.key == certificate.key }) { return .agent(same) }
        let plain = certificate.certificate.plainKey
        if let key = agentKeys.first(where: { $0.key.blob == plain }) { return .agent(key) }
        let whole = files.filter { $0.privatePart != nil }
        if let file = whole.first(where: { $0.publicKey?.blob == plain }) { return .file(file) }
        let byName = whole.first {
            $0.publicKey == nil && ($0.path == file?.path || $0.path == certificate.privatePath)
        }
        return byName.map(KeyHolder.file)
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
