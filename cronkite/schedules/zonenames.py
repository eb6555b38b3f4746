"""Which time zones are there, whether or not this machine has data for them?

The names are facts of the IANA time zone database, edition 2026f (its zones, and the links of its file ``backward``).
:mod:`zoneinfo` knows the names only that it has data for, and a machine may lack some: Debian 13 and Ubuntu 24.04 moved
old names to the package tzdata-legacy, a small container has none at all, and an old system none of the newest. A name
that is newer than this list is taken wherever there are data for it.
"""

from __future__ import annotations

from functools import lru_cache

#: Today's names, by their first part: those of zone.tab, and those that are no place.
_TODAY = {
    "Africa": """
        Abidjan Accra Addis_Ababa Algiers Asmara Bamako Bangui Banjul Bissau Blantyre Brazzaville Bujumbura Cairo
        Casablanca Ceuta Conakry Dakar Dar_es_Salaam Djibouti Douala El_Aaiun Freetown Gaborone Harare Johannesburg Juba
        Kampala Khartoum Kigali Kinshasa Lagos Libreville Lome Luanda Lubumbashi Lusaka Malabo Maputo Maseru Mbabane
        Mogadishu Monrovia Nairobi Ndjamena Niamey Nouakchott Ouagadougou Porto-Novo Sao_Tome Tripoli Tunis Windhoek
    """,
    "America": """
        Adak Anchorage Anguilla Antigua Araguaina Argentina/Buenos_Aires Argentina/Catamarca Argentina/Cordoba
        Argentina/Jujuy Argentina/La_Rioja Argentina/Mendoza Argentina/Rio_Gallegos Argentina/Salta Argentina/San_Juan
        Argentina/San_Luis Argentina/Tucuman Argentina/Ushuaia Aruba Asuncion Atikokan Bahia Bahia_Banderas Barbados
        Belem Belize Blanc-Sablon Boa_Vista Bogota Boise Cambridge_Bay Campo_Grande Cancun Caracas Cayenne Cayman
        Chicago Chihuahua Ciudad_Juarez Costa_Rica Coyhaique Creston Cuiaba Curacao Danmarkshavn Dawson Dawson_Creek
        Denver Detroit Dominica Edmonton Eirunepe El_Salvador Fort_Nelson Fortaleza Glace_Bay Goose_Bay Grand_Turk
        Grenada Guadeloupe Guatemala Guayaquil Guyana Halifax Havana Hermosillo Indiana/Indianapolis Indiana/Knox
        Indiana/Marengo Indiana/Petersburg Indiana/Tell_City Indiana/Vevay Indiana/Vincennes Indiana/Winamac Inuvik
        Iqaluit Jamaica Juneau Kentucky/Louisville Kentucky/Monticello Kralendijk La_Paz Lima Los_Angeles Lower_Princes
        Maceio Managua Manaus Marigot Martinique Matamoros Mazatlan Menominee Merida Metlakatla Mexico_City Miquelon
        Moncton Monterrey Montevideo Montserrat Nassau New_York Nome Noronha North_Dakota/Beulah North_Dakota/Center
        North_Dakota/New_Salem Nuuk Ojinaga Panama Paramaribo Phoenix Port-au-Prince Port_of_Spain Porto_Velho
        Puerto_Rico Punta_Arenas Rankin_Inlet Recife Regina Resolute Rio_Branco Santarem Santiago Santo_Domingo
        Sao_Paulo Scoresbysund Sitka St_Barthelemy St_Johns St_Kitts St_Lucia St_Thomas St_Vincent Swift_Current
        Tegucigalpa Thule Tijuana Toronto Tortola Vancouver Whitehorse Winnipeg Yakutat
    """,
    "Antarctica": "Casey Davis DumontDUrville Macquarie Mawson McMurdo Palmer Rothera Syowa Troll Vostok",
    "Arctic": "Longyearbyen",
    "Asia": """
        Aden Almaty Amman Anadyr Aqtau Aqtobe Ashgabat Atyrau Baghdad Bahrain Baku Bangkok Barnaul Beirut Bishkek Brunei
        Chita Colombo Damascus Dhaka Dili Dubai Dushanbe Famagusta Gaza Hebron Ho_Chi_Minh Hong_Kong Hovd Irkutsk
        Jakarta Jayapura Jerusalem Kabul Kamchatka Karachi Kathmandu Khandyga Kolkata Krasnoyarsk Kuala_Lumpur Kuching
        Kuwait Macau Magadan Makassar Manila Muscat Nicosia Novokuznetsk Novosibirsk Omsk Oral Phnom_Penh Pontianak
        Pyongyang Qatar Qostanay Qyzylorda Riyadh Sakhalin Samarkand Seoul Shanghai Singapore Srednekolymsk Taipei
        Tashkent Tbilisi Tehran Thimphu Tokyo Tomsk Ulaanbaatar Urumqi Ust-Nera Vientiane Vladivostok Yakutsk Yangon
        Yekaterinburg Yerevan
    """,
    "Atlantic": "Azores Bermuda Canary Cape_Verde Faroe Madeira Reykjavik South_Georgia St_Helena Stanley",
    "Australia": "Adelaide Brisbane Broken_Hill Darwin Eucla Hobart Lindeman Lord_Howe Melbourne Perth Sydney",
    "": "UTC",
    "Etc": """
        GMT GMT+1 GMT+10 GMT+11 GMT+12 GMT+2 GMT+3 GMT+4 GMT+5 GMT+6 GMT+7 GMT+8 GMT+9 GMT-1 GMT-10 GMT-11 GMT-12 GMT-13
        GMT-14 GMT-2 GMT-3 GMT-4 GMT-5 GMT-6 GMT-7 GMT-8 GMT-9 UTC
    """,
    "Europe": """
        Amsterdam Andorra Astrakhan Athens Belgrade Berlin Bratislava Brussels Bucharest Budapest Busingen Chisinau
        Copenhagen Dublin Gibraltar Guernsey Helsinki Isle_of_Man Istanbul Jersey Kaliningrad Kirov Kyiv Lisbon
        Ljubljana London Luxembourg Madrid Malta Mariehamn Minsk Monaco Moscow Oslo Paris Podgorica Prague Riga Rome
        Samara San_Marino Sarajevo Saratov Simferopol Skopje Sofia Stockholm Tallinn Tirane Ulyanovsk Vaduz Vatican
        Vienna Vilnius Volgograd Warsaw Zagreb Zurich
    """,
    "Indian": "Antananarivo Chagos Christmas Cocos Comoro Kerguelen Mahe Maldives Mauritius Mayotte Reunion",
    "Pacific": """
        Apia Auckland Bougainville Chatham Chuuk Easter Efate Fakaofo Fiji Funafuti Galapagos Gambier Guadalcanal Guam
        Honolulu Kanton Kiritimati Kosrae Kwajalein Majuro Marquesas Midway Nauru Niue Norfolk Noumea Pago_Pago Palau
        Pitcairn Pohnpei Port_Moresby Rarotonga Saipan Tahiti Tarawa Tongatapu Wake Wallis
    """,
}
#: Old names, behind the one that has the same clock today.
_OLD = """
    Africa/Abidjan= Africa/Timbuktu Iceland Africa/Cairo= Egypt Africa/Nairobi= Africa/Asmera Africa/Tripoli= Libya
    America/Adak= America/Atka US/Aleutian America/Anchorage= US/Alaska America/Argentina/Buenos_Aires=
    America/Buenos_Aires America/Argentina/Catamarca= America/Argentina/ComodRivadavia America/Catamarca
    America/Argentina/Cordoba= America/Cordoba America/Rosario America/Argentina/Jujuy= America/Jujuy
    America/Argentina/Mendoza= America/Mendoza America/Chicago= CST6CDT US/Central America/Denver= America/Shiprock
    MST7MDT Navajo US/Mountain America/Detroit= US/Michigan America/Edmonton= America/Yellowknife Canada/Mountain
    America/Halifax= Canada/Atlantic America/Havana= Cuba America/Indiana/Indianapolis= America/Fort_Wayne
    America/Indianapolis US/East-Indiana America/Indiana/Knox= America/Knox_IN US/Indiana-Starke America/Iqaluit=
    America/Pangnirtung America/Jamaica= Jamaica America/Kentucky/Louisville= America/Louisville America/Los_Angeles=
    PST8PDT US/Pacific America/Manaus= Brazil/West America/Mazatlan= Mexico/BajaSur America/Mexico_City= Mexico/General
    America/New_York= EST5EDT US/Eastern America/Noronha= Brazil/DeNoronha America/Nuuk= America/Godthab America/Panama=
    America/Coral_Harbour EST America/Phoenix= MST US/Arizona America/Puerto_Rico= America/Virgin America/Regina=
    Canada/Saskatchewan America/Rio_Branco= America/Porto_Acre Brazil/Acre America/Santiago= Chile/Continental
    America/Sao_Paulo= Brazil/East America/St_Johns= Canada/Newfoundland America/Tijuana= America/Ensenada
    America/Santa_Isabel Mexico/BajaNorte America/Toronto= America/Montreal America/Nipigon America/Thunder_Bay
    Canada/Eastern America/Vancouver= Canada/Pacific America/Whitehorse= Canada/Yukon America/Winnipeg=
    America/Rainy_River Canada/Central Asia/Ashgabat= Asia/Ashkhabad Asia/Dhaka= Asia/Dacca Asia/Ho_Chi_Minh=
    Asia/Saigon Asia/Hong_Kong= Hongkong Asia/Jerusalem= Asia/Tel_Aviv Israel Asia/Kathmandu= Asia/Katmandu
    Asia/Kolkata= Asia/Calcutta Asia/Macau= Asia/Macao Asia/Makassar= Asia/Ujung_Pandang Asia/Nicosia= Europe/Nicosia
    Asia/Seoul= ROK Asia/Shanghai= Asia/Chongqing Asia/Chungking Asia/Harbin PRC Asia/Singapore= Singapore Asia/Taipei=
    ROC Asia/Tehran= Iran Asia/Thimphu= Asia/Thimbu Asia/Tokyo= Japan Asia/Ulaanbaatar= Asia/Choibalsan Asia/Ulan_Bator
    Asia/Urumqi= Asia/Kashgar Asia/Yangon= Asia/Rangoon Atlantic/Faroe= Atlantic/Faeroe Australia/Adelaide=
    Australia/South Australia/Brisbane= Australia/Queensland Australia/Broken_Hill= Australia/Yancowinna
    Australia/Darwin= Australia/North Australia/Hobart= Australia/Currie Australia/Tasmania Australia/Lord_Howe=
    Australia/LHI Australia/Melbourne= Australia/Victoria Australia/Perth= Australia/West Australia/Sydney=
    Australia/ACT Australia/Canberra Australia/NSW Etc/GMT= Etc/GMT+0 Etc/GMT-0 Etc/GMT0 Etc/Greenwich GMT GMT+0 GMT-0
    GMT0 Greenwich UTC= Etc/UCT Etc/Universal Etc/Zulu UCT Universal Zulu Europe/Athens= EET Europe/Berlin=
    Atlantic/Jan_Mayen Europe/Brussels= CET MET Europe/Chisinau= Europe/Tiraspol Europe/Dublin= Eire Europe/Istanbul=
    Asia/Istanbul Turkey Europe/Kyiv= Europe/Kiev Europe/Uzhgorod Europe/Zaporozhye Europe/Lisbon= Portugal WET
    Europe/London= Europe/Belfast GB GB-Eire Europe/Moscow= W-SU Europe/Warsaw= Poland Pacific/Auckland=
    Antarctica/South_Pole NZ Pacific/Chatham= NZ-CHAT Pacific/Easter= Chile/EasterIsland Pacific/Guadalcanal=
    Pacific/Ponape Pacific/Honolulu= HST Pacific/Johnston US/Hawaii Pacific/Kanton= Pacific/Enderbury Pacific/Kwajalein=
    Kwajalein Pacific/Pago_Pago= Pacific/Samoa US/Samoa Pacific/Port_Moresby= Pacific/Truk Pacific/Yap
"""

#: What is always the same clock, so that it needs no data.
UTC_NAMES = frozenset({"UTC", "Etc/UTC", "UCT", "Etc/UCT", "Universal", "Etc/Universal", "Zulu", "Etc/Zulu"})


@lru_cache(maxsize=1)
def every() -> frozenset[str]:
    """Return all names, of today and old."""
    return today() | old().keys()


@lru_cache(maxsize=1)
def today() -> frozenset[str]:
    """Return the names that are in use."""
    return frozenset(f"{area}/{name}" if area else name for area, names in _TODAY.items() for name in names.split())


@lru_cache(maxsize=1)
def old() -> dict[str, str]:
    """Return the names that were in use, each with that of today for the same clock."""
    found, clock = {}, ""
    for word in _OLD.split():
        if word.endswith("="):
            clock = word[:-1]
        else:
            found[word] = clock
    return found
