"""Ordinary English: what a label may say besides the names and numbers of its profile.

Words that describe behaviour, amounts, times and groups. No names of people, places, firms or
products, no praise and no blame, nothing that asks a reader to do anything.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTION = _words(
    """
    a about above across after again against ago all almost along also although among amid an and
    any are around as at away back be been before behind below beside besides between beyond both
    but by can despite did do does down due during each either else even ever every except few
    fewer fewest first following for from further had has have having he her here his how i if in
    inside instead into is it its itself just last least less lot lots many may more most much
    must near nearly neither never next no non none nor not of off often on once one only onto or
    other others otherwise our out outside over overall own part per quite rather same several she
    since so some somewhat still such than that the their them themselves then there these they
    this those though through throughout till to together too toward towards under unlike until
    up upon us usually very via was we well were what when where whereas whether which while who
    whole whom whose why will with within without yet you your
    """
)
"""Words that say nothing by themselves."""

DESCRIBING = _words(
    """
    abandon able absent abundant access accompany account active activity actor actual add
    afternoon aggregate alike allow alone alternate alternating amount annual anonymous appear
    apart area arrive attempt attract audience automatic average avoid balance band barely base
    basic basis beat become begin behave behaviour behavior belong bottom brief bring broad browse
    build bulk bunch burst busy busier busiest buy buyer call calm cancel cancellation care
    casual category cause cautious central centre center certain chain chance change channel choose
    class classic click clock close closely cluster code cohort cold collection combine combined
    come common commonly community compact company compare comparable comparatively complete
    concentrate concentrated concentration confine connect connected connection considerable
    consist consistent constant consumer contain continue continuous contrast core cost count
    couple course cover create crowd current customer cycle daily dark data date dawn day daytime
    dead deal decline decrease dedicated deep delay delayed dense density depart departure depend
    depth describe destination detail device differ difference different digital direct direction
    discover display distance distant distinct distinctive distinguish distinguishing distributed
    diverse diversity divide dominant dominate dominated double-digit driven drop dusk duration
    early earlier earliest easy edge effect element elsewhere empty encounter end engage engaged
    engagement enter entire entirely entity entry equal equally error especially essentially
    establish evening event eventually everyday evident exactly exceed except exclusive
    exclusively exhibit exist expect experience explore extensive extra extreme extremely face
    fail failed failing failure fairly fall familiar family far fast faster fault favour favor
    favourite favorite feature field figure fill final find finish fit fix flat fleet flow focus
    focused follow form found fraction free frequency frequent frequently fresh frustrated full
    fully function general generally generate get give go going group grouped grow growth half-day
    happen hard hardly heavier heaviest heavily heavy help hit high higher highest highly hold
    hour hourly hub idle include inactive increase indicate individual infrequent initial intense
    intensity intensive interact interaction interest intermittent interval involve irregular
    isolated issue item join journey keep key kind know known lack large largely larger largest
    late later latest lead leave length level light lighter lightest likely limit limited line
    link linked list little local locate located location log logged logging long longer longest
    longish look loose low lower lowest loyal main mainly mainstream major majority make manual
    mark marked mass match mean median medium meet member mention message metric middle midday
    midnight mild minimal minor minority minute miss missed missing mix mixed mixture mobile mode
    moderate moderately modest moment monday month monthly morning mostly move movement multi
    multiple name named narrow near nearby network new newcomer newest niche night nightly noise
    noisy noon normal normally notable noticeable now number object observe occasional
    occasionally occur occurrence offline old older oldest online open opened opening operate
    operated operation operator option order ordinary orient oriented origin outlier outnumber
    overnight owner page pair parallel partial particular particularly partly pass path pattern
    pause pay peak people period periodic person persistent phone pick place plain platform play
    player point popular portion possible power powered practically predominant predominantly
    prefer preference preferred present pretty previous primarily primary prior problem process
    produce product prominent prone property proportion provide provider purchase pure purely
    quick quickly quiet random range rank rapid rare rarely rate ratio reach reached read ready
    receive recent recently recur recurring reduce regional regular regularly related relation
    relative relatively reliant rely remain remaining repeat repeated repeatedly repetition
    report represent request require response rest restart result retry return returning rise
    roughly round route routine row run sample scarce scattered season second-tier secondary see
    seen segment seldom sell seller send separate sequence serve served service session set
    setting severe shape share shared sharp sharply shift short shorter shortest show showing
    side sign significant significantly silence silent similar simple single sit site size
    skew skewed slight slightly slow slower slowest small smaller smallest smooth sole solely
    solid soon sort source span sparse specific specifically spend spender spending split sporadic
    spread spring stable stand standard start state station stay steady step stick stop
    straight stream stretch strong stronger strongest strongly structure struggle style subset
    substantial summer sunday surface surround switch system take target task team tell tend
    tendency term text thin thing throughput tier tight time timing title today tool top total
    touch touched track traffic travel traveller traveler trend trip try turn type typical
    typically ultra uncommon under unit unlikely unusual unusually update usage use user usual
    utilise utilize value variable varied variety various vary vast view virtually visible visit
    visitor volume wait walk watch way weak wealth week weekday weekend weekly weight while wide
    widely widespread winter work workday world year yearly yesterday young zero
    """
)
"""Words that describe a group."""

ORDINARY = FUNCTION | DESCRIBING
